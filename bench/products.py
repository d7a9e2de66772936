"""Matrix products of a training step: the Numba backend's and the fastest BLAS's, on one thread.

``python -m bench.products`` times them by turns in one process, and records the results. nnkit's
are repeated as a captured step repeats them; NumPy's BLAS, and PyTorch's where it is installed, are
called from Python, which takes a microsecond. Each is checked against NumPy's first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from bench import results
from bench.summaries import show
from nnkit.backends.numba import NumbaBackend, create

LAYERS = (
    *((8, 784, 100), (100, 784, 100), (100, 100, 10), (128, 784, 256), (128, 256, 128)),
    *((256, 784, 1024), (256, 1024, 1024), (256, 4096, 4096)),
)
"""Batch, inputs and outputs of a layer."""
ROUNDS, SECONDS = 15, 0.01


def layer_products(n: int, inputs: int, outputs: int) -> dict[str, tuple[Any, Any]]:
    """The operands of a layer's three products, by their formulas."""
    rng = np.random.default_rng(0)
    x, w, dz = (
        rng.standard_normal(shape).astype(np.float32)
        for shape in ((n, inputs), (inputs, outputs), (n, outputs))
    )
    return {"x @ W": (x, w), "x.T @ dz": (x.T, dz), "dz @ W.T": (dz, w.T)}


Repeated = Callable[[int], object]
"""Makes a product so many times."""


def _by_turns(calls: list[Repeated]) -> list[float]:
    """Fastest time of each call, in rounds of some milliseconds each."""
    start = time.perf_counter()
    calls[0](1)
    repeats = max(1, round(SECONDS / (time.perf_counter() - start)))
    best = [np.inf] * len(calls)
    for _ in range(ROUNDS):
        for i, call in enumerate(calls):
            start = time.perf_counter()
            call(repeats)
            best[i] = min(best[i], (time.perf_counter() - start) / repeats)
    return best


def _repeat(call: Callable[[], object], times: int) -> None:
    for _ in range(times):
        call()


def _libraries(a: Any, b: Any, out: Any) -> list[Repeated]:
    """The same product by NumPy and, where it is installed, PyTorch."""
    calls: list[Callable[[], object]] = [partial(np.matmul, a, b, out=out)]
    if find_spec("torch") is not None:
        torch: Any = import_module("torch")
        torch.set_num_threads(1)
        x, y, z = map(torch.from_numpy, (a, b, out))
        calls.append(partial(torch.mm, x, y, out=z))
    return [partial(_repeat, call) for call in calls]


def _placed(backend: NumbaBackend, array: Any) -> Any:
    """Copy a matrix, or a transposed one, to where the framework's arrays lie."""
    if not array.flags.c_contiguous:
        return _placed(backend, array.T).T
    out = backend.empty(array.shape, array.dtype)
    out[...] = array
    return out


def measure(backend: NumbaBackend, n: int, inputs: int, outputs: int) -> list[dict[str, Any]]:
    """Time a layer's products both ways."""
    rows = []
    for formula, operands in layer_products(n, inputs, outputs).items():
        a, b = (_placed(backend, array) for array in operands)
        out = backend.empty((len(a), b.shape[1]), np.float32)
        want = a @ b
        error = np.abs(backend.matmul(a, b, out) - want).max()
        assert error < 1e-5 * np.abs(a).sum(axis=1).max() * np.abs(b).max()
        captured = backend.capture(partial(backend.matmul, a, b, out))
        ours, *theirs = _by_turns([captured, *_libraries(a, b, out)])
        flops = 2 * n * inputs * outputs
        rows.append(
            {
                "name": f"{n}x{inputs}x{outputs} / {formula}",
                "layer": f"{inputs} to {outputs}, batch {n}",
                "formula": formula,
                "seconds": ours,
                "yardstick": min(theirs),
                "gflops": flops / ours / 1e9,
                "gflops_blas": flops / min(theirs) / 1e9,
            }
        )
    return rows


def main() -> None:
    """Measure all layers, show and record the results."""
    backend = create()
    backend.threads = 1
    with threadpool_limits(1):
        rows = [row for layer in LAYERS for row in measure(backend, *layer)]
    record = results.make("products", rows, settings={"threads": 1})
    print(f"{show(record)}\n\n{results.save(record)}")


if __name__ == "__main__":
    main()
