"""Batch normalisation of columns, with a ReLU behind it if there is one, and the gradients.

Members share the rows. Tiles of several rows make vectors long however few the columns are, as the
channels of images.
"""

from typing import Any

import numpy as np

from nnkit.kernels.numba.batch_gradients import (
    TILE,
    gradient_sums,
    input_gradient,
    inverse_deviation,
    merge_sums,
)
from nnkit.kernels.numba.codegen.jit import inline, shared
from nnkit.kernels.numba.moments import column_moments, merge_moments
from nnkit.kernels.numba.runtime.tasks import share
from nnkit.kernels.numba.runtime.team import barrier, my_chunk, my_range
from nnkit.kernels.numba.tiles import repeat_row, tile_width

GRAIN = 1 << 15
"""Elements worth a thread, and elements that a task has at least."""


@inline
def _elements(x: Any, mean: Any, factor: Any, beta: Any, y: Any, least: Any) -> None:
    for i in range(y.size):
        value = (x[i] - mean[i]) * factor[i] + beta[i]
        y[i] = least if value <= least else value


@inline
def _normalize(
    x: Any, gamma: Any, beta: Any, mean: Any, var: Any, y: Any, eps: Any, relu: bool
) -> None:
    """``y = (x - mean) / sqrt(var + eps) * gamma + beta``, with `relu` at least 0."""
    x, y, m = x.reshape(y.size), y.reshape(y.size), gamma.size
    factor = np.empty(m, y.dtype)
    inverse_deviation(var, eps, factor)
    for j in range(m):
        factor[j] *= gamma[j]
    tiles = np.empty((3, tile_width(min(y.size, TILE), m)), y.dtype)
    repeat_row(mean, tiles[0])
    repeat_row(factor, tiles[1])
    repeat_row(beta, tiles[2])
    least = y.dtype.type(0 if relu else -np.inf)
    for i in range(0, y.size, tiles.shape[1]):
        j = min(i + tiles.shape[1], y.size)
        _elements(x[i:j], tiles[0], tiles[1], tiles[2], y[i:j], least)


@shared(GRAIN)
def batch_norm_inference(
    x: Any, gamma: Any, beta: Any, mean: Any, var: Any, y: Any, eps: float, relu: bool, team: Any
) -> None:
    """``y = (x - mean) / sqrt(var + eps) * gamma + beta`` of (n, m), with `relu` at least 0."""
    i, j = my_range(len(x), team)
    _normalize(x[i:j], gamma, beta, mean, var, y[i:j], x.dtype.type(eps), relu)


@inline
def _statistics(
    sums: Any,
    n: int,
    first: int,
    running_mean: Any,
    running_var: Any,
    mean: Any,
    var: Any,
    momentum: float,
) -> None:
    """Merge the columns from `first` on; vectors are those of these columns alone."""
    exact_mean, exact_var = np.empty(mean.size), np.empty(var.size)
    merge_moments(sums, n, first, exact_mean, exact_var)
    unbiased = n / (n - 1)
    for j in range(mean.size):
        mean[j], var[j] = exact_mean[j], exact_var[j]
        running_mean[j] += momentum * (exact_mean[j] - running_mean[j])
        running_var[j] += momentum * (exact_var[j] * unbiased - running_var[j])


@shared(GRAIN)
def batch_norm_forward(
    x: Any,
    gamma: Any,
    beta: Any,
    running_mean: Any,
    running_var: Any,
    mean: Any,
    var: Any,
    y: Any,
    eps: float,
    momentum: float,
    relu: bool,
    sums: Any,
    team: Any,
) -> None:
    """Normalise the columns of x (n, m) by their own mean and variance, and follow the averages.

    `sums` (3, tasks, m), float64, receives what each task finds in its rows.
    """
    n, m = x.shape
    tasks = sums.shape[1]
    first, last = my_range(tasks, team)
    for t in range(first, last):
        i, j = share(n, tasks, t), share(n, tasks, t + 1)
        column_moments(x[i:j], sums[0, t], sums[1, t], sums[2, t])
    barrier(team)
    i, j = my_chunk(m, team)
    _statistics(sums, n, i, running_mean[i:j], running_var[i:j], mean[i:j], var[i:j], momentum)
    barrier(team)
    i, j = my_range(n, team)
    _normalize(x[i:j], gamma, beta, mean, var, y[i:j], x.dtype.type(eps), relu)


@shared(GRAIN)
def batch_norm_backward(
    dy: Any,
    y: Any,
    x: Any,
    gamma: Any,
    mean: Any,
    var: Any,
    dgamma: Any,
    dbeta: Any,
    dx: Any,
    eps: float,
    batch_statistics: bool,
    relu: bool,
    sums: Any,
    team: Any,
) -> None:
    """Give the gradients of x (n, m), gamma and beta (m,); y is looked at with `relu` alone.

    `sums` (2, tasks, m), float64, receives what each task adds up.
    """
    n, m = x.shape
    tasks, e = sums.shape[1], x.dtype.type(eps)
    first, last = my_range(tasks, team)
    for t in range(first, last):
        i, j = share(n, tasks, t), share(n, tasks, t + 1)
        gradient_sums(dy[i:j], y[i:j], x[i:j], mean, relu, sums[0, t], sums[1, t])
    barrier(team)
    i, j = my_chunk(m, team)
    part = 1 / n if batch_statistics and n > 0 else 0.0
    merge_sums(sums[:, :, i:j], var[i:j], dgamma[i:j], dbeta[i:j], e, part)
    barrier(team)
    i, j = my_range(n, team)
    rows = dy[i:j], y[i:j], x[i:j]
    input_gradient(*rows, gamma, mean, var, sums[:, 0], dx[i:j], e, relu)
