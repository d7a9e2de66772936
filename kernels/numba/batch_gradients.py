"""The parts of batch normalisation's backward pass: sums of columns, and the input's gradient."""

from typing import Any

import numpy as np

from nnkit.kernels.numba.codegen.denormals import flush_denormals, restore_denormals
from nnkit.kernels.numba.codegen.jit import inline
from nnkit.kernels.numba.maths import constant
from nnkit.kernels.numba.runtime.tasks import add_rows
from nnkit.kernels.numba.tiles import fold_tile, repeat_row, tile_width

TILE = 512
"""Elements of a tile, at least: with eight of them the first-level cache has room."""
TILES = 16
"""So many are added up in the dtype of their elements, then in float64."""


@inline
def inverse_deviation(var: Any, eps: Any, inverse: Any) -> None:
    """``1 / sqrt(var + eps)``."""
    for j in range(inverse.size):
        inverse[j] = var.dtype.type(1) / np.sqrt(var[j] + eps)


@inline
def _masked(dy: Any, y: Any, relu: bool) -> Any:
    """Give dy, or with `relu` 0 where y is not above 0: without a branch, for vector code."""
    zero = constant(y, 0)
    return dy if (y > zero) | (not relu) else zero


@inline
def _add(dy: Any, y: Any, x: Any, mean: Any, relu: bool, total: Any, product: Any) -> None:
    for i in range(x.size):
        d = _masked(dy[i], y[i], relu)
        total[i] += d
        product[i] += d * (x[i] - mean[i])


@inline
def _flush(some: Any, total: Any) -> None:
    for i in range(total.size):
        total[i] += some[i]
        some[i] = 0


@inline
def gradient_sums(dy: Any, y: Any, x: Any, mean: Any, relu: bool, total: Any, product: Any) -> None:
    """Float64 sums of dy and of ``dy * (x - mean)`` over some rows (n, m)."""
    state = flush_denormals()
    dy, y, x = dy.reshape(x.size), y.reshape(x.size), x.reshape(x.size)
    width = tile_width(min(x.size, TILE), mean.size)
    center, some = np.empty(width, x.dtype), np.zeros((2, width), x.dtype)
    sums = np.zeros((2, width))
    repeat_row(mean, center)
    for first in range(0, x.size, TILES * width):
        for i in range(first, min(first + TILES * width, x.size), width):
            j = min(i + width, x.size)
            _add(dy[i:j], y[i:j], x[i:j], center, relu, some[0], some[1])
        _flush(some[0], sums[0])
        _flush(some[1], sums[1])
    fold_tile(sums[0], total)
    fold_tile(sums[1], product)
    restore_denormals(state)


@inline
def merge_sums(sums: Any, var: Any, dgamma: Any, dbeta: Any, eps: Any, part: float) -> None:
    """Give the gradients of gamma and beta (k,), from the sums (2, tasks, k) of the tasks.

    In the place of the first task's are left those over all rows, times `part`; 0 where that is.
    """
    add_rows(sums[0], sums[0, 0])
    add_rows(sums[1], sums[1, 0])
    inverse = np.empty(var.size, var.dtype)
    inverse_deviation(var, eps, inverse)
    for j in range(var.size):
        dbeta[j], dgamma[j] = sums[0, 0, j], sums[1, 0, j] * inverse[j]
        for k in range(2):
            sums[k, 0, j] = sums[k, 0, j] * part if part > 0 else 0.0


@inline
def _gradient(
    dy: Any, y: Any, x: Any, mean: Any, offset: Any, slope: Any, factor: Any, dx: Any, relu: bool
) -> None:
    for i in range(dx.size):
        d = _masked(dy[i], y[i], relu)
        dx[i] = factor[i] * (d - (offset[i] + (x[i] - mean[i]) * slope[i]))


@inline
def input_gradient(
    dy: Any,
    y: Any,
    x: Any,
    gamma: Any,
    mean: Any,
    var: Any,
    means: Any,
    dx: Any,
    eps: Any,
    relu: bool,
) -> None:
    """Give dx (n, m); `means`, two rows, are those of dy and of ``dy * (x - mean)``, or 0."""
    state = flush_denormals()
    dy, y, x = dy.reshape(dx.size), y.reshape(dx.size), x.reshape(dx.size)
    dx, m = dx.reshape(dx.size), gamma.size
    row, tiles = np.empty(m, dx.dtype), np.empty((4, tile_width(min(dx.size, TILE), m)), dx.dtype)
    inverse_deviation(var, eps, row)
    repeat_row(mean, tiles[0])
    repeat_row(means[0], tiles[1])
    repeat_row(means[1] * row * row, tiles[2])
    repeat_row(gamma * row, tiles[3])
    for i in range(0, dx.size, tiles.shape[1]):
        j = min(i + tiles.shape[1], dx.size)
        part = dy[i:j], y[i:j], x[i:j]
        _gradient(*part, tiles[0], tiles[1], tiles[2], tiles[3], dx[i:j], relu)
    restore_denormals(state)
