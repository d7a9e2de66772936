"""ReLU with a learned slope, and its gradients in one pass."""

from typing import Any

import numpy as np

from nnkit.kernels.numba.codegen.denormals import flush_denormals, restore_denormals
from nnkit.kernels.numba.codegen.jit import inline, shared
from nnkit.kernels.numba.runtime.memory import ME
from nnkit.kernels.numba.runtime.tasks import add_rows, share
from nnkit.kernels.numba.runtime.team import barrier, my_range
from nnkit.kernels.numba.tiles import fold_tile, repeat_row, tile_width

GRAIN = 1 << 16
"""Elements worth a thread, and elements that a task of the sum has at least."""


@inline
def _forward(x: Any, slope: Any, y: Any) -> None:
    for i in range(y.size):
        y[i] = x[i] if x[i] > x.dtype.type(0) else slope[i] * x[i]


@inline
def _forward_part(x: Any, slope: Any, y: Any) -> None:
    x, y = x.reshape(x.size), y.reshape(y.size)
    tile = np.empty(tile_width(y.size, slope.size), y.dtype)
    repeat_row(slope, tile)
    for i in range(0, y.size, tile.size):
        j = min(i + tile.size, y.size)
        _forward(x[i:j], tile, y[i:j])


@shared(GRAIN)
def prelu(x: Any, slope: Any, y: Any, team: Any) -> None:
    """``y = x`` where x > 0, else ``slope x``, for (n, m) and (m,)."""
    i, j = my_range(len(y), team)
    _forward_part(x[i:j], slope, y[i:j])


@inline
def _backward(dy: Any, x: Any, slope: Any, dx: Any, total: Any) -> None:
    zero = x.dtype.type(0)
    for i in range(dx.size):
        total[i] += dy[i] * (zero if x[i] > zero else x[i])
        dx[i] = dy[i] if x[i] > zero else slope[i] * dy[i]


@inline
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


@shared(GRAIN)
def prelu_backward(dy: Any, x: Any, slope: Any, dx: Any, dslope: Any, sums: Any, team: Any) -> None:
    """``dx = dy`` where x > 0, else ``slope dy``; ``dslope = sum of dy min(x, 0)`` over rows.

    `sums` (tasks, m) receives what each task adds up.
    """
    n = len(dx)
    tasks = len(sums)
    first, last = my_range(tasks, team)
    for t in range(first, last):
        i, j = share(n, tasks, t), share(n, tasks, t + 1)
        _backward_part(dy[i:j], x[i:j], slope, dx[i:j], sums[t])
    barrier(team)
    if team[ME] == 0:
        add_rows(sums, dslope)
