"""The kernels that are timed: each as a backend's operation, and in plain array code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from nnkit.backends import Backend
from nnkit.backends.contract import Update
from nnkit.backends.numpy import NumpyBackend

Arrays = SimpleNamespace
BETA1, BETA2, EPS, LR = 0.9, 0.999, 1e-8, 1e-3
DROP = 0.5
EXAMPLES = 60_000


@dataclass(frozen=True)
class Case:
    """A kernel at one size."""

    name: str
    size: str
    nbytes: int
    """What it must read and write at least, in one pass."""
    footprint: int
    """Bytes of memory that takes, less where an array is both read and written."""
    make: Callable[[np.random.Generator], dict[str, np.ndarray]]
    """Its arrays, on the host."""
    fused: Callable[[Backend, Arrays], None]
    """The backend's operations."""
    plain: Callable[[Any, Arrays], None]
    """The same in plain array code of numpy or cupy, one operation after the other."""
    outputs: tuple[str, ...]
    """Arrays that both must leave with the values of the float64 reference."""
    random: bool = False
    """Whether the plain version draws other random numbers, and so is not compared."""
    large: bool = False
    """Whether it is for GPUs, of 64 MB and more."""

    @property
    def title(self) -> str:
        return f"{self.name}, {self.size}"


@lru_cache(maxsize=1)
def drawn(case: Case) -> dict[str, np.ndarray]:
    """A case's arrays on the host. All versions of a case are timed before the next is drawn."""
    return case.make(np.random.default_rng(0))


def arrays(case: Case, backend: Backend, dtype: Any = np.float32) -> Arrays:
    """Place a case's arrays, its reals as `dtype`, with a log and counters."""
    placed = {}
    for name, value in drawn(case).items():
        array = backend.asarray(value.copy() if backend.xp is np else value)
        placed[name] = array.astype(dtype, copy=False) if value.dtype.kind == "f" else array
    return Arrays(
        **placed,
        log=backend.zeros((1, 2), np.float64),
        counters=backend.zeros(3, np.int64),
        lr=backend.asarray(np.array([LR])),
    )


def prepare(case: Case, backend: Backend, plain: bool = False) -> Callable[[], None]:
    """Make the call to time, after a first one whose results are compared with the reference."""
    operands = arrays(case, backend)

    def call() -> None:
        if plain:
            case.plain(backend.xp, operands)
        else:
            case.fused(backend, operands)

    call()
    if not (plain and case.random):
        check(case, backend, operands)
    return call


def check(case: Case, backend: Backend, operands: Arrays) -> None:
    """Assert that the outputs are those of a reference in float64, every number of them.

    How far a number may be off depends on how large those of its array are: mean gradients of many
    classes are tiny. The two numbers of a log have nothing in common, and are taken alone.

    The reference is NumPy's backend, on the host. The large cases, which would take it half a
    minute, have their own plain code in float64 on the device, which the smaller sizes hold against
    NumPy's.
    """
    if case.large and not case.random:
        compare(case, reference(case, backend), operands)
    else:
        found = {name: backend.to_numpy(getattr(operands, name)) for name in case.outputs}
        compare(case, _on_host(case), Arrays(**found))


def compare(case: Case, expected: Arrays, operands: Arrays) -> None:
    """Assert that outputs agree, on the host or on the device, whichever both are on."""
    for name in case.outputs:
        want, got = getattr(expected, name), getattr(operands, name)
        size = abs(want)
        typical = size if name == "log" else size.mean()
        wrong = ~(abs(got - want) <= 2e-4 * size + 2e-5 * typical)  # of NaN too
        if bool(wrong.any()):
            at = int(wrong.ravel().argmax())
            pair = float(got.ravel()[at]), float(want.ravel()[at])
            raise AssertionError(
                f"{case.title}: {name}: {int(wrong.sum())} of {wrong.size} numbers are wrong, "
                f"the first at {at}: {pair[0]!r} in place of {pair[1]!r}"
            )


@lru_cache(maxsize=1)
def _on_host(case: Case) -> Arrays:
    backend = NumpyBackend()
    expected = arrays(case, backend, np.float64)
    case.fused(backend, expected)
    return expected


def reference(case: Case, backend: Backend) -> Arrays:
    """What a large case is compared with: its plain code in float64, on the device."""
    expected = arrays(case, backend, np.float64)
    case.plain(backend.xp, expected)
    return expected


# ---------------------------------------------------------------------- the cases


def activation(kind: str, n: int, m: int) -> Case:
    """Bias and activation forward, then backward with the bias gradient."""

    def make(rng: np.random.Generator) -> dict[str, np.ndarray]:
        z, dy = rng.standard_normal((2, n, m), np.float32)
        empty = np.zeros((n, m), np.float32)
        bias = rng.standard_normal(m, np.float32)
        return {
            "z": z,
            "dy": dy,
            "bias": bias,
            "y": empty,
            "dz": empty,
            "dbias": np.zeros(m, np.float32),
        }

    def fused(backend: Backend, a: Arrays) -> None:
        backend.bias_activation(kind, a.z, a.bias, a.y)
        backend.bias_activation_backward(kind, a.dy, a.y, a.dz, a.dbias)

    def plain(xp: Any, a: Arrays) -> None:
        z = a.z + a.bias
        if kind == "relu":
            a.y = xp.maximum(z, 0)
            a.dz = a.dy * (a.y > 0)
        elif kind == "sigmoid":
            a.y = 1 / (1 + xp.exp(-z))
            a.dz = a.dy * a.y * (1 - a.y)
        else:
            a.y = xp.tanh(z)
            a.dz = a.dy * (1 - a.y * a.y)
        a.dbias = a.dz.sum(axis=0)

    size = 4 * n * m
    name, outputs = f"{kind}, forward and backward", ("y", "dz", "dbias")
    return Case(name, f"{n}x{m}", 5 * size, 4 * size, make, fused, plain, outputs)


def softmax_cross_entropy(n: int, classes: int) -> Case:
    """Mean loss and the gradient of the logits."""

    def make(rng: np.random.Generator) -> dict[str, np.ndarray]:
        z = rng.standard_normal((n, classes), np.float32)
        target = rng.integers(0, classes, n).astype(np.int32)
        return {"z": z, "target": target, "dz": np.zeros((n, classes), np.float32)}

    def fused(backend: Backend, a: Arrays) -> None:
        backend.softmax_cross_entropy(a.z, a.target, a.dz, a.log, a.counters)

    def plain(xp: Any, a: Arrays) -> None:
        rows = xp.arange(n)
        z = a.z - a.z.max(axis=1, keepdims=True)
        e = xp.exp(z)
        p = e / e.sum(axis=1, keepdims=True)
        a.log[0, 0] = -xp.log(p[rows, a.target]).mean()
        a.log[0, 1] = (p.argmax(axis=1) == a.target).sum()
        p[rows, a.target] -= 1
        a.dz = p / n

    size = 4 * n * classes
    name, shape = "softmax + cross-entropy", f"{n}x{classes}"
    return Case(name, shape, 2 * size, 2 * size, make, fused, plain, ("dz", "log"))


def sgd(n: int) -> Case:
    """An update without momentum."""

    def make(rng: np.random.Generator) -> dict[str, np.ndarray]:
        p, g = rng.standard_normal((2, n), np.float32)
        return {"p": p, "g": g}

    def fused(backend: Backend, a: Arrays) -> None:
        backend.sgd(a.p, a.g, None, Update(a.lr, a.counters), 0.0, False)

    def plain(xp: Any, a: Arrays) -> None:
        a.p -= LR * a.g

    return Case("SGD", millions(n), 3 * 4 * n, 2 * 4 * n, make, fused, plain, ("p",))


def adam(n: int) -> Case:
    """An update, the first."""

    def make(rng: np.random.Generator) -> dict[str, np.ndarray]:
        p, g, m, v = rng.standard_normal((4, n), np.float32)
        return {"p": p, "g": g, "m": m, "v": v * v}

    def fused(backend: Backend, a: Arrays) -> None:
        update = Update(a.lr, a.counters)
        backend.adam(a.p, a.g, a.m, a.v, update, BETA1, BETA2, EPS, False)

    def plain(xp: Any, a: Arrays) -> None:
        a.m = BETA1 * a.m + (1 - BETA1) * a.g
        a.v = BETA2 * a.v + (1 - BETA2) * a.g**2
        a.p -= LR * (a.m / (1 - BETA1)) / (xp.sqrt(a.v / (1 - BETA2)) + EPS)

    return Case("Adam", millions(n), 7 * 4 * n, 4 * 4 * n, make, fused, plain, ("p", "m", "v"))


def gather(dtype: str, n: int, m: int) -> Case:
    """A shuffled mini-batch of images, bytes scaled to 0..1 on the way."""

    def make(rng: np.random.Generator) -> dict[str, np.ndarray]:
        source = rng.integers(0, 256, (EXAMPLES, m), np.uint8)
        if dtype == "float32":
            source = source.astype(np.float32)
        return {
            "source": source,
            "order": rng.permutation(EXAMPLES),
            "out": np.zeros((n, m), np.float32),
        }

    def fused(backend: Backend, a: Arrays) -> None:
        backend.gather(a.source, a.order, a.counters, n, a.out)

    def plain(xp: Any, a: Arrays) -> None:
        rows = a.source[a.order[:n]]
        a.out = rows.astype(np.float32) / 255 if dtype == "uint8" else rows

    nbytes = (4 + np.dtype(dtype).itemsize) * n * m
    return Case(f"gather {dtype}", f"{n}x{m}", nbytes, nbytes, make, fused, plain, ("out",))


def dropout(n: int) -> Case:
    """Random numbers, mask and scale."""

    def make(rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {"x": rng.standard_normal(n, np.float32), "y": np.zeros(n, np.float32)}

    def fused(backend: Backend, a: Arrays) -> None:
        backend.dropout(a.x, DROP, 12345, a.counters, a.y)

    def plain(xp: Any, a: Arrays) -> None:
        a.y = a.x * (xp.random.random(n) >= DROP) / (1 - DROP)

    size = 2 * 4 * n
    return Case("dropout", millions(n), size, size, make, fused, plain, ("y",), random=True)


def millions(n: int) -> str:
    """2**20 as "1 M"."""
    return f"{n / 2**20:g} M"


CASES = (
    activation("relu", 128, 256),
    activation("relu", 1024, 1024),
    activation("relu", 2048, 2048),
    activation("sigmoid", 1024, 1024),
    activation("tanh", 1024, 1024),
    softmax_cross_entropy(128, 10),
    softmax_cross_entropy(1024, 1000),
    softmax_cross_entropy(64, 50_000),
    sgd(2**20),
    sgd(2**22),
    adam(2**20),
    adam(2**22),
    gather("float32", 128, 784),
    gather("uint8", 128, 784),
    dropout(2**20),
)
LARGE_CASES = tuple(
    replace(case, large=True)
    for case in (
        activation("relu", 8192, 4096),
        softmax_cross_entropy(8192, 2048),
        softmax_cross_entropy(512, 50_000),
        sgd(2**25),
        adam(2**25),
        gather("uint8", 32_768, 784),
        dropout(2**25),
    )
)
"""For GPUs, which these keep busy."""
