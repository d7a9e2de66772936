"""ReLU with a learned slope, and its gradients in one pass."""

from typing import Any

import numpy as np
from numba import prange

from nnkit.kernels.numba.denormals import flush_denormals, restore_denormals
from nnkit.kernels.numba.jit import body, threaded
from nnkit.kernels.numba.tasks import (
    add_rows,
    fold_tile,
    repeat_row,
    share,
    task_count,
    tile_width,
    worker_count,
)

GRAIN = 1 << 16
"""Elements worth a thread, and elements that a task of the sum has at least."""


@body
def _forward(x: Any, slope: Any, y: Any) -> None:
    for i in range(y.size):
        y[i] = x[i] if x[i] > x.dtype.type(0) else slope[i] * x[i]


@body
def _forward_part(x: Any, slope: Any, y: Any) -> None:
    x, y = x.reshape(x.size), y.reshape(y.size)
    tile = np.empty(tile_width(y.size, slope.size), y.dtype)
    repeat_row(slope, tile)
    for i in range(0, y.size, tile.size):
        j = min(i + tile.size, y.size)
        _forward(x[i:j], tile, y[i:j])


@threaded(GRAIN)
def prelu(x: Any, slope: Any, y: Any, threads: int) -> None:
    """``y = x`` where x > 0, else ``slope x``, for (n, m) and (m,)."""
    n = len(y)
    workers = worker_count(min(n, threads), y.size, GRAIN)
    for w in prange(workers):
        i, j = share(n, workers, w), share(n, workers, w + 1)
        _forward_part(x[i:j], slope, y[i:j])


@body
def _backward(dy: Any, x: Any, slope: Any, dx: Any, total: Any) -> None:
    zero = x.dtype.type(0)
    for i in range(dx.size):
        total[i] += dy[i] * (zero if x[i] > zero else x[i])
        dx[i] = dy[i] if x[i] > zero else slope[i] * dy[i]


@body
def _backward_part(dy: Any, x: Any, slope: Any, dx: Any, dslope: Any) -> None:
    state = flush_denormals()
    dy, x, dx = dy.reshape(dx.size), x.reshape(dx.size), dx.reshape(dx.size)
    total = np.zeros(tile_width(dx.size, slope.size), dx.dtype)
    tile = np.empty(total.size, dx.dtype)
    repeat_row(slope, tile)
    for i in range(0, dx.size, tile.size):
        j = min(i + tile.size, dx.size)
        _backward(dy[i:j], x[i:j], tile, dx[i:j], total)
    fold_tile(total, dslope)
    restore_denormals(state)


@threaded(GRAIN)
def prelu_backward(dy: Any, x: Any, slope: Any, dx: Any, dslope: Any, threads: int) -> None:
    """``dx = dy`` where x > 0, else ``slope dy``; ``dslope = sum of dy min(x, 0)`` over rows."""
    n = len(dx)
    tasks = task_count(n, dx.size, GRAIN)
    if tasks == 1:
        _backward_part(dy, x, slope, dx, dslope)
        return
    sums = np.empty((tasks, dslope.size), dslope.dtype)
    workers = min(threads, tasks)
    for w in prange(workers):
        for t in range(share(tasks, workers, w), share(tasks, workers, w + 1)):
            i, j = share(n, tasks, t), share(n, tasks, t + 1)
            _backward_part(dy[i:j], x[i:j], slope, dx[i:j], sums[t])
    add_rows(sums, dslope)
