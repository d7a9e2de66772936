"""What happens to all gradients between the backward pass and the update, on flat buffers."""

from typing import Any

import numpy as np
from numba import prange

from nnkit.kernels.numba.denormals import flush_denormals, restore_denormals
from nnkit.kernels.numba.jit import body, threaded
from nnkit.kernels.numba.tasks import chunk, share, sum_in_order, task_count, worker_count

GRAIN = 1 << 15
"""Elements worth a thread."""


@body
def _accumulate(g: Any, total: Any, weight: Any, start: bool) -> None:
    state = flush_denormals()
    if start:
        for i in range(g.size):
            total[i] = weight * g[i]
    else:
        for i in range(g.size):
            total[i] += weight * g[i]
    restore_denormals(state)


@threaded(GRAIN)
def accumulate(g: Any, total: Any, weight: float, start: bool, threads: int) -> None:
    """``total = weight * g`` to start with, else ``total += weight * g``."""
    n = g.size
    workers = worker_count(threads, n, GRAIN)
    for w in prange(workers):
        i, j = chunk(n, workers, w), chunk(n, workers, w + 1)
        _accumulate(g[i:j], total[i:j], g.dtype.type(weight), start)


@body
def _sum_of_squares(x: Any) -> float:
    total = 0.0
    for i in range(x.size):
        total += np.float64(x[i]) * np.float64(x[i])
    return total


@threaded(GRAIN)
def sum_of_squares(x: Any, total: Any, start: bool, threads: int) -> None:
    """``total[0] = sum(x**2)`` to start with, else ``total[0] += sum(x**2)``."""
    n = x.size
    tasks = task_count(n, n, GRAIN)
    sums = np.empty(tasks)
    workers = min(threads, tasks)
    for w in prange(workers):
        for t in range(share(tasks, workers, w), share(tasks, workers, w + 1)):
            sums[t] = _sum_of_squares(x[chunk(n, tasks, t) : chunk(n, tasks, t + 1)])
    total[0] = sum_in_order(sums) if start else total[0] + sum_in_order(sums)


@body
def _scale(x: Any, factor: Any) -> None:
    state = flush_denormals()
    for i in range(x.size):
        x[i] *= factor
    restore_denormals(state)


@threaded(GRAIN)
def clip(x: Any, total: Any, limit: float, threads: int) -> None:
    """``x *= limit / (sqrt(total[0]) + 1e-6)`` if that is below 1."""
    n = x.size
    factor = limit / (np.sqrt(total[0]) + 1e-6)
    workers = worker_count(threads, n, GRAIN) if factor < 1 else 0
    for w in prange(workers):
        i, j = chunk(n, workers, w), chunk(n, workers, w + 1)
        _scale(x[i:j], x.dtype.type(factor))
