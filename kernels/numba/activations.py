"""Activations, with the bias in front and, backwards, the bias gradient behind, in one pass.

To add an activation: a line in FORWARD and a line in GRADIENT. Each formula is compiled into
kernels of its own when it is first used. Numbers in them are made with `constant`, comparisons
written so that NaN comes out as NaN.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import prange

from nnkit.kernels.numba.denormals import flush_denormals, restore_denormals
from nnkit.kernels.numba.jit import Kernel, body, helper, threaded
from nnkit.kernels.numba.maths import constant, exp_nonpositive, expm1_nonpositive
from nnkit.kernels.numba.tasks import (
    add_rows,
    apart,
    chunk,
    fold_tile,
    repeat_row,
    same,
    share,
    task_count,
    tile_width,
    worker_count,
)
from nnkit.kernels.table import ACTIVATIONS

GRAIN = 1 << 15
"""Elements worth a thread: below, waking it costs more than it saves."""
SUM_GRAIN = 1 << 15
"""Elements a task that adds up rows has at least."""
TILE = 2048
"""Elements in a tile: it stays in the first-level cache from one use to the next."""


@helper
def sigmoid(x: Any) -> Any:
    """``1 / (1 + exp(-x))`` from ``exp(-|x|)``, which cannot overflow."""
    one = constant(x, 1)
    e = exp_nonpositive(-abs(x))
    return (one if x >= constant(x, 0) else e) / (one + e)


@helper
def tanh(x: Any) -> Any:
    """``(1 - e) / (1 + e)`` with ``e = exp(-2 |x|)``, and the sign of x."""
    e = expm1_nonpositive(constant(x, -2) * abs(x))
    return np.copysign(e / (e + constant(x, 2)), x)


@helper
def step(x: Any) -> Any:
    """1 if x > 0 else 0."""
    zero = constant(x, 0)
    if x <= zero:
        return zero
    return constant(x, 1) if x > zero else x


FORWARD: dict[str, Callable[[Any, Any], Any]] = {
    "identity": lambda x, alpha: x,
    "sigmoid": lambda x, alpha: sigmoid(x),
    "tanh": lambda x, alpha: tanh(x),
    "relu": lambda x, alpha: constant(x, 0) if x <= constant(x, 0) else x,
    "step": lambda x, alpha: step(x),
}
"""y = f(x) of one element."""

GRADIENT: dict[str, Callable[[Any, Any, Any], Any]] = {
    "identity": lambda dy, y, alpha: dy,
    "sigmoid": lambda dy, y, alpha: dy * (y * (constant(y, 1) - y)),
    "tanh": lambda dy, y, alpha: dy * (constant(y, 1) - y * y),
    "relu": lambda dy, y, alpha: dy if y > constant(y, 0) else constant(y, 0),
}
"""dy * f' of one element, in terms of what ``ACTIVATIONS[kind].saved`` names."""


@body
def _copy(x: Any, y: Any) -> None:
    for i in range(y.size):
        y[i] = x[i]


@body
def _add(x: Any, y: Any) -> None:
    for i in range(y.size):
        y[i] += x[i]


@cache
def activation(kind: str) -> Kernel:
    """Make the kernel ``y = f(x)`` for flat arrays x, y."""
    f = helper(FORWARD[kind])

    @body
    def elements(x: Any, y: Any, alpha: Any) -> None:
        for i in range(y.size):
            y[i] = f(x[i], alpha)

    @body
    def part(x: Any, y: Any, alpha: Any) -> None:
        scratch = np.empty(TILE if same(x, y) else 0, y.dtype)
        for i in range(0, y.size, TILE):
            j = min(i + TILE, y.size)
            elements(apart(x[i:j], scratch), y[i:j], alpha)

    @threaded(GRAIN, kind)
    def activation(x: Any, y: Any, alpha: float, threads: int) -> None:
        a = y.dtype.type(alpha)
        workers = worker_count(threads, y.size, GRAIN)
        for w in prange(workers):
            i, j = chunk(y.size, workers, w), chunk(y.size, workers, w + 1)
            part(x[i:j], y[i:j], a)

    return activation


@cache
def activation_backward(kind: str) -> Kernel:
    """Make the kernel ``dx = dy * f'(saved)`` for flat arrays dy, saved, dx."""
    g = helper(GRADIENT[kind])

    @body
    def elements(dy: Any, saved: Any, dx: Any, alpha: Any) -> None:
        for i in range(dx.size):
            dx[i] = g(dy[i], saved[i], alpha)

    @body
    def part(dy: Any, saved: Any, dx: Any, alpha: Any) -> None:
        state = flush_denormals()
        scratch = np.empty(TILE if same(dy, dx) else 0, dx.dtype)
        for i in range(0, dx.size, TILE):
            j = min(i + TILE, dx.size)
            elements(apart(dy[i:j], scratch), saved[i:j], dx[i:j], alpha)
        restore_denormals(state)

    @threaded(GRAIN, kind)
    def activation_backward(dy: Any, saved: Any, dx: Any, alpha: float, threads: int) -> None:
        a = dx.dtype.type(alpha)
        workers = worker_count(threads, dx.size, GRAIN)
        for w in prange(workers):
            i, j = chunk(dx.size, workers, w), chunk(dx.size, workers, w + 1)
            part(dy[i:j], saved[i:j], dx[i:j], a)

    return activation_backward


@cache
def bias_activation(kind: str) -> Kernel:
    """Make the kernel ``y = f(z + bias)`` for z, y (n, m) and bias (m,).

    Where the gradient needs the input, `z` becomes ``z + bias``; otherwise it may be `y`.
    """
    f = helper(FORWARD[kind])
    keep = ACTIVATIONS[kind].saved == "x"

    @body
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

    @body
    def part(z: Any, bias: Any, y: Any, alpha: Any) -> None:
        z, y = z.reshape(z.size), y.reshape(y.size)
        tile = np.empty(tile_width(y.size, bias.size), y.dtype)
        repeat_row(bias, tile)
        for i in range(0, y.size, tile.size):
            j = min(i + tile.size, y.size)
            elements(z[i:j], tile, y[i:j], alpha)

    @threaded(GRAIN, kind)
    def bias_activation(z: Any, bias: Any, y: Any, alpha: float, threads: int) -> None:
        a = y.dtype.type(alpha)
        n = len(y)
        workers = worker_count(min(n, threads), y.size, GRAIN)
        for w in prange(workers):
            i, j = share(n, workers, w), share(n, workers, w + 1)
            part(z[i:j], bias, y[i:j], a)

    return bias_activation


@cache
def bias_activation_backward(kind: str) -> Kernel:
    """Make the kernel ``dz = dy * f'(saved)``, ``dbias = sum of dz over rows``, of (n, m), (m,)."""
    g = helper(GRADIENT[kind])

    @body
    def elements(dy: Any, saved: Any, dz: Any, alpha: Any, total: Any) -> None:
        for i in range(dz.size):
            d = g(dy[i], saved[i], alpha)
            dz[i] = d
            total[i] += d

    @body
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

    @threaded(SUM_GRAIN, kind)
    def bias_activation_backward(
        dy: Any, saved: Any, dz: Any, dbias: Any, alpha: float, threads: int
    ) -> None:
        a = dz.dtype.type(alpha)
        n = len(dz)
        tasks = task_count(n, dz.size, SUM_GRAIN)
        if tasks == 1:
            part(dy, saved, dz, a, dbias)
            return
        sums = np.empty((tasks, dbias.size), dbias.dtype)
        workers = min(threads, tasks)
        for w in prange(workers):
            for t in range(share(tasks, workers, w), share(tasks, workers, w + 1)):
                i, j = share(n, tasks, t), share(n, tasks, t + 1)
                part(dy[i:j], saved[i:j], dz[i:j], a, sums[t])
        add_rows(sums, dbias)

    return bias_activation_backward


@body
def _sum_rows(dy: Any, dbias: Any) -> None:
    dy = dy.reshape(dy.size)
    total = np.zeros(tile_width(dy.size, dbias.size), dy.dtype)
    for i in range(0, dy.size, total.size):
        _add(dy[i : i + total.size], total[: min(total.size, dy.size - i)])
    fold_tile(total, dbias)


@threaded(SUM_GRAIN)
def bias_gradient(dy: Any, dbias: Any, threads: int) -> None:
    """``dbias = sum of dy over rows``, for (n, m) and (m,)."""
    n = len(dy)
    tasks = task_count(n, dy.size, SUM_GRAIN)
    if tasks == 1:
        _sum_rows(dy, dbias)
        return
    sums = np.empty((tasks, dbias.size), dbias.dtype)
    workers = min(threads, tasks)
    for w in prange(workers):
        for t in range(share(tasks, workers, w), share(tasks, workers, w + 1)):
            _sum_rows(dy[share(n, tasks, t) : share(n, tasks, t + 1)], sums[t])
    add_rows(sums, dbias)
