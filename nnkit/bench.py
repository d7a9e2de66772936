"""A short benchmark of this machine: training steps and streaming kernels on each backend.

The full one, against other frameworks too, is the folder bench/ of the source tree.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from nnkit.backends import Array, Backend, available_backends, get_backend
from nnkit.backends.contract import CaptureError, Update
from nnkit.kernels.cores import cores_of_rank
from nnkit.layers import Layer, Linear, ReLU, Sequential
from nnkit.losses import SoftmaxCrossEntropy
from nnkit.optimizers import SGD, Adam, Optimizer
from nnkit.showing.words import counted
from nnkit.training import Trainer

PASSES = 16
"""Repetitions of a step's products that are timed together."""


@dataclass(frozen=True)
class Network:
    """A classifier of linear layers with ReLU between them, and how it is trained."""

    name: str
    sizes: tuple[int, ...]
    batch_size: int
    optimizer: Literal["SGD", "Adam"]
    lr: float
    steps: int
    """Training steps that are timed together."""

    @property
    def label(self) -> str:
        """Sizes, batch and optimizer, as a table's row begins."""
        hidden = self.sizes[1:-1]
        middle = f"{len(hidden)}x{hidden[0]}" if len(hidden) > 2 else "-".join(map(str, hidden))
        return (
            f"{self.sizes[0]}-{middle}-{self.sizes[-1]}, batch {self.batch_size}, {self.optimizer}"
        )

    @property
    def flops(self) -> int:
        """Additions and multiplications in a step's products: forward, dW, and dx but the first."""
        first, *others = (2 * self.batch_size * a * b for a, b in pairwise(self.sizes))
        return 2 * first + 3 * sum(others)

    def model(self, backend: str | Backend | None = None, fuse: bool = True) -> Sequential:
        """Build the model; its weights are those of seed 0."""
        layers: list[Layer] = []
        for a, b in pairwise(self.sizes):
            layers += [Linear(a, b), ReLU()]
        return Sequential(*layers[:-1], seed=0, backend=backend, fuse=fuse)

    def make_optimizer(self) -> Optimizer:
        """Make the optimizer, without momentum or weight decay."""
        return SGD(self.lr) if self.optimizer == "SGD" else Adam(self.lr)


NETWORKS = {
    network.name: network
    for network in (
        Network("tiny-batch", (784, 100, 10), 8, "SGD", 0.1, 4000),
        Network("small", (784, 100, 10), 100, "SGD", 0.1, 600),
        Network("medium", (784, 256, 128, 10), 128, "Adam", 1e-3, 300),
        Network("large", (784, 1024, 1024, 10), 256, "Adam", 1e-3, 60),
        Network("deep", (784, *[32] * 10, 10), 32, "Adam", 1e-3, 1000),
    )
}


def run(
    networks: Sequence[str] = tuple(NETWORKS),
    backends: Sequence[str] | None = None,
    rounds: int = 3,
    steps: int | None = None,
) -> dict[str, Any]:
    """Time training steps and three streaming kernels.

    Parameters
    ----------
    networks
        Names in `NETWORKS`.
    backends
        Names of backends; None takes all that work here.
    rounds
        How often each is timed. The fastest time counts: others were disturbed by something.
    steps
        Training steps timed together; None takes each network's own number.

    Returns what JSON can hold, and `format_results` lays out: "threads", the number of threads of
    the CPU backends; "steps", with microseconds per step and their ratio to those of the step's
    matrix products alone; "kernels", with GB/s and their share of a copy of as many bytes.
    """
    names = available_backends() if backends is None else list(backends)
    chosen = [get_backend(name) for name in names]
    return {
        "threads": thread_count(),
        "steps": [row for n in networks for row in _time_steps(NETWORKS[n], chosen, rounds, steps)],
        "kernels": [row for backend in chosen for row in _time_kernels(backend, rounds)],
    }


def format_results(results: dict[str, Any]) -> str:
    """Lay out the result of `run` as two tables."""
    threads = results["threads"]
    steps = [("training step", "backend", "us/step", "images/s", "x products")]
    steps += [
        (
            row["network"],
            row["backend"],
            f"{row['microseconds']:,.1f}",
            f"{row['images_per_second']:,.0f}",
            f"{row['over_products']:.2f}",
        )
        for row in results["steps"]
    ]
    kernels = [("streaming kernel", "backend", "us", "GB/s", "of a copy")]
    kernels += [
        (
            row["kernel"],
            row["backend"],
            f"{row['microseconds']:,.0f}",
            f"{row['gb_per_second']:.1f}",
            f"{row['share_of_copy']:.0%}",
        )
        for row in results["kernels"]
    ]
    note = (
        f"{counted(threads, 'CPU thread')}. x products: how many times as long as "
        "the step's matrix products alone.\n"
        "of a copy: the kernel's bytes per second over those of a copy in as much memory."
    )
    return f"{_table(steps)}\n\n{_table(kernels)}\n\n{note}"


# ---------------------------------------------------------------------- measuring


def best_seconds(call: Callable[[], object], backend: Backend, rounds: int) -> float:
    """Fastest of some rounds of a call, each long enough for the clock, per call.

    Every round ends with all work done. The first call, which may compile, is not timed.
    """

    def timed(calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            call()
        backend.synchronize()
        return (time.perf_counter() - start) / calls

    timed(1)
    calls = max(1, int(2e-3 / max(timed(1), 1e-9)))
    return min(timed(calls) for _ in range(rounds))


def thread_count() -> int:
    """Threads of the CPU backends: NNKIT_NUM_THREADS, else this process's share of the cores."""
    given = os.environ.get("NNKIT_NUM_THREADS", "")
    if given.isdigit():
        return max(1, int(given))
    return cores_of_rank()


def copy_seconds(backend: Backend, nbytes: int, rounds: int = 5) -> float:
    """Fastest time of a copy that moves `nbytes` (half read, half written), the kernels' yardstick.

    On a CPU that of one thread or of all of them, whichever is faster.
    """
    source = backend.zeros(max(1, nbytes // 8), np.float32)
    target = backend.zeros(source.shape, np.float32)

    def copy() -> None:
        target[...] = source

    alone = best_seconds(copy, backend, rounds)
    threads = thread_count()
    if not isinstance(source, np.ndarray) or threads == 1:
        return alone
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    with ThreadPoolExecutor(threads) as pool:

        def copy_together() -> None:
            for done in [pool.submit(np.copyto, *part) for part in parts]:
                done.result()

        return min(alone, best_seconds(copy_together, backend, rounds))


def matrix_products(network: Network, backend: Backend) -> Callable[[int], None]:
    """Capture a step's matrix products alone; returns a function that repeats them n times."""
    rng = np.random.default_rng(0)
    operands = []
    for i, (a, b) in enumerate(pairwise(network.sizes)):
        x, w, dy = (
            backend.asarray(rng.random(shape, np.float32))
            for shape in ((network.batch_size, a), (a, b), (network.batch_size, b))
        )
        y, dw, dx = (backend.empty(like.shape, np.float32) for like in (dy, w, x))
        operands += [(x, w, y), (x.T, dy, dw)]
        if i:
            operands.append((dy, w.T, dx))

    def multiply() -> None:
        for left, right, out in operands:
            backend.matmul(left, right, out)

    multiply()
    try:
        return backend.capture(multiply)
    except CaptureError:
        return Backend.capture(backend, multiply)


def products_seconds(network: Network, backend: Backend, rounds: int) -> float:
    """Fastest time of a step's matrix products alone."""
    call = partial(matrix_products(network, backend), PASSES)
    return best_seconds(call, backend, rounds) / PASSES


# ---------------------------------------------------------------------- what is measured


def _time_steps(
    network: Network, backends: Sequence[Backend], rounds: int, steps: int | None
) -> Iterator[dict[str, Any]]:
    """Train for an epoch, in which the step is compiled and captured, and for those that count."""
    steps = network.steps if steps is None else steps
    x, t = _digits(steps * network.batch_size, network.sizes[0], network.sizes[-1])
    for backend in backends:
        trainer = Trainer(network.model(backend), SoftmaxCrossEntropy(), network.make_optimizer())
        history = trainer.fit(x, t, 1 + rounds, network.batch_size, progress=False)
        seconds = min(history.seconds[1:]) / steps
        products = products_seconds(network, backend, rounds)
        yield {
            "network": network.label,
            "backend": backend.name,
            "microseconds": seconds * 1e6,
            "images_per_second": network.batch_size / seconds,
            "over_products": seconds / products,
        }


def _digits(n: int, features: int, classes: int) -> tuple[np.ndarray[Any, Any], ...]:
    """Bytes and labels as in MNIST: a fifth of the pixels is not black."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (n, features), np.uint8) * (rng.random((1, features)) < 0.2)
    return x.astype(np.uint8), rng.integers(0, classes, n)


def _time_kernels(backend: Backend, rounds: int) -> Iterator[dict[str, Any]]:
    for name, nbytes, footprint, call in _kernels(backend):
        seconds = best_seconds(call, backend, rounds)
        copy = copy_seconds(backend, footprint, rounds) * nbytes / footprint
        yield {
            "kernel": name,
            "backend": backend.name,
            "microseconds": seconds * 1e6,
            "gb_per_second": nbytes / seconds / 1e9,
            "share_of_copy": copy / seconds,
        }


def _kernels(backend: Backend) -> list[tuple[str, int, int, Callable[[], object]]]:
    """Name, bytes moved, bytes of memory and call of each kernel, all in float32."""
    rng = np.random.default_rng(0)

    def random(*shape: int) -> Array:
        return backend.asarray(rng.standard_normal(shape, np.float32))

    z, dy, y, dz = (random(1024, 1024) for _ in range(4))
    bias, dbias = random(1024), random(1024)
    logits, gradient = random(2048, 1000), random(2048, 1000)
    labels = backend.asarray(rng.integers(0, 1000, 2048).astype(np.int32))
    p, g, m, v = (random(2**20) for _ in range(4))
    v[...] = v * v
    lr = backend.asarray(np.array([1e-3]))
    log, counters = backend.zeros((1, 2), np.float64), backend.zeros(3, np.int64)

    def activation() -> None:
        backend.bias_activation("relu", z, bias, y)
        backend.bias_activation_backward("relu", dy, y, dz, dbias)

    def loss() -> None:
        backend.softmax_cross_entropy(logits, labels, gradient, log, counters)

    def adam() -> None:
        backend.adam(p, g, m, v, Update(lr, counters), 0.9, 0.999, 1e-8, False)

    return [
        ("bias + ReLU, forward and backward", 5 * z.nbytes, 4 * z.nbytes, activation),
        ("softmax + cross-entropy with gradient", 2 * logits.nbytes, 2 * logits.nbytes, loss),
        ("Adam", 7 * p.nbytes, 4 * p.nbytes, adam),
    ]


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    """Columns as wide as their widest cell; from the third on they are numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
