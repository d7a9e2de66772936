"""Activations, with the bias in front and, backwards, the bias gradient behind, in one pass.

Each row of FORMULAS is compiled into kernels of its own when it is first used.
"""

from functools import cache
from typing import Any

import numpy as np

from nnkit.kernels.numba.codegen.denormals import flush_denormals, restore_denormals
from nnkit.kernels.numba.codegen.jit import Kernel, inline, shared
from nnkit.kernels.numba.formulas import FORMULAS
from nnkit.kernels.numba.runtime.memory import ME
from nnkit.kernels.numba.runtime.tasks import add_rows, share
from nnkit.kernels.numba.runtime.team import barrier, my_chunk, my_range
from nnkit.kernels.numba.tiles import apart, fold_tile, repeat_row, same, tile_width
from nnkit.kernels.table import ACTIVATIONS, trainable

GRAIN = 1 << 15
"""Elements worth a thread."""
SUM_GRAIN = 1 << 15
"""Elements a task that adds up rows has at least."""
TILE = 2048
"""Elements in a tile: it stays in the first-level cache from one use to the next."""


@inline
def _copy(x: Any, y: Any) -> None:
    for i in range(y.size):
        y[i] = x[i]


@inline
def _add(x: Any, y: Any) -> None:
    for i in range(y.size):
        y[i] += x[i]


@cache
def activation(kind: str) -> Kernel:
    """Make the kernel ``y = f(x)`` for flat arrays x, y."""
    f = inline(FORMULAS[kind].forward)

    @inline
    def elements(x: Any, y: Any, alpha: Any) -> None:
        for i in range(y.size):
            y[i] = f(x[i], alpha)

    @inline
    def part(x: Any, y: Any, alpha: Any) -> None:
        scratch = np.empty(TILE if same(x, y) else 0, y.dtype)
        for i in range(0, y.size, TILE):
            j = min(i + TILE, y.size)
            elements(apart(x[i:j], scratch), y[i:j], alpha)

    @shared(GRAIN, kind)
    def activation(x: Any, y: Any, alpha: float, team: Any) -> None:
        a = y.dtype.type(alpha)
        i, j = my_chunk(y.size, team)
        part(x[i:j], y[i:j], a)

    return activation


@cache
def activation_backward(kind: str) -> Kernel:
    """Make the kernel ``dx = dy * f'(saved)`` for flat arrays dy, saved, dx."""
    trainable(kind)
    g = inline(FORMULAS[kind].gradient)

    @inline
    def elements(dy: Any, saved: Any, dx: Any, alpha: Any) -> None:
        for i in range(dx.size):
            dx[i] = g(dy[i], saved[i], alpha)

    @inline
    def part(dy: Any, saved: Any, dx: Any, alpha: Any) -> None:
        state = flush_denormals()
        scratch = np.empty(TILE if same(dy, dx) else 0, dx.dtype)
        for i in range(0, dx.size, TILE):
            j = min(i + TILE, dx.size)
            elements(apart(dy[i:j], scratch), saved[i:j], dx[i:j], alpha)
        restore_denormals(state)

    @shared(GRAIN, kind)
    def activation_backward(dy: Any, saved: Any, dx: Any, alpha: float, team: Any) -> None:
        a = dx.dtype.type(alpha)
        i, j = my_chunk(dx.size, team)
        part(dy[i:j], saved[i:j], dx[i:j], a)

    return activation_backward


@cache
def bias_activation(kind: str) -> Kernel:
    """Make the kernel ``y = f(z + bias)`` for z, y (n, m) and bias (m,).

    Where the gradient needs the input, `z` becomes ``z + bias``; otherwise it may be `y`.
    """
    f = inline(FORMULAS[kind].forward)
    keep = ACTIVATIONS[kind].saved == "x"

    @inline
    def elements(z: Any, bias: Any, y: Any, alpha: Any) -> None:
        if keep:
            _add(bias, z)
            for i in range(y.size):
                y[i] = f(z[i], alpha)
        else:
            if not same(z, y):
                _copy(z, y)
            for i in range(y.size):
                y[i] = f(y[i] + bias[i], alpha)

    @inline
    def part(z: Any, bias: Any, y: Any, alpha: Any) -> None:
        z, y = z.reshape(z.size), y.reshape(y.size)
        tile = np.empty(tile_width(y.size, bias.size), y.dtype)
        repeat_row(bias, tile)
        for i in range(0, y.size, tile.size):
            j = min(i + tile.size, y.size)
            elements(z[i:j], tile, y[i:j], alpha)

    @shared(GRAIN, kind)
    def bias_activation(z: Any, bias: Any, y: Any, alpha: float, team: Any) -> None:
        a = y.dtype.type(alpha)
        i, j = my_range(len(y), team)
        part(z[i:j], bias, y[i:j], a)

    return bias_activation


@cache
def bias_activation_backward(kind: str) -> Kernel:
    """Make the kernel ``dz = dy * f'(saved)``, ``dbias = sum of dz over rows``, of (n, m), (m,).

    `sums` (tasks, m) receives what each task adds up.
    """
    trainable(kind)
    g = inline(FORMULAS[kind].gradient)

    @inline
    def elements(dy: Any, saved: Any, dz: Any, alpha: Any, total: Any) -> None:
        for i in range(dz.size):
            d = g(dy[i], saved[i], alpha)
            dz[i] = d
            total[i] += d

    @inline
    def part(dy: Any, saved: Any, dz: Any, alpha: Any, dbias: Any) -> None:
        state = flush_denormals()
        dy, saved, dz = dy.reshape(dz.size), saved.reshape(dz.size), dz.reshape(dz.size)
        total = np.zeros(tile_width(dz.size, dbias.size), dz.dtype)
        scratch = np.empty(total.size if same(dy, dz) else 0, dz.dtype)
        for i in range(0, dz.size, total.size):
            j = min(i + total.size, dz.size)
            elements(apart(dy[i:j], scratch), saved[i:j], dz[i:j], alpha, total)
        fold_tile(total, dbias)
        restore_denormals(state)

    @shared(SUM_GRAIN, kind)
    def bias_activation_backward(
        dy: Any, saved: Any, dz: Any, dbias: Any, alpha: float, sums: Any, team: Any
    ) -> None:
        a = dz.dtype.type(alpha)
        n = len(dz)
        tasks = len(sums)
        first, last = my_range(tasks, team)
        for t in range(first, last):
            i, j = share(n, tasks, t), share(n, tasks, t + 1)
            part(dy[i:j], saved[i:j], dz[i:j], a, sums[t])
        barrier(team)
        if team[ME] == 0:
            add_rows(sums, dbias)

    return bias_activation_backward


@inline
def _sum_rows(dy: Any, dbias: Any) -> None:
    dy = dy.reshape(dy.size)
    total = np.zeros(tile_width(dy.size, dbias.size), dy.dtype)
    for i in range(0, dy.size, total.size):
        _add(dy[i : i + total.size], total[: min(total.size, dy.size - i)])
    fold_tile(total, dbias)


@shared(SUM_GRAIN)
def bias_gradient(dy: Any, dbias: Any, sums: Any, team: Any) -> None:
    """``dbias = sum of dy over rows``, for (n, m) and (m,).

    `sums` (tasks, m) receives what each task adds up.
    """
    n = len(dy)
    tasks = len(sums)
    first, last = my_range(tasks, team)
    for t in range(first, last):
        _sum_rows(dy[share(n, tasks, t) : share(n, tasks, t + 1)], sums[t])
    barrier(team)
    if team[ME] == 0:
        add_rows(sums, dbias)
