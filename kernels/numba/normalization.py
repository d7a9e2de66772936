"""Batch normalisation, column by column, and layer normalisation, row by row.

Means and variances are added up in float64, in two passes: they are as good as their input where
that is far from zero, too. What rounding leaves of a float64 mean is corrected (Chan, Golub &
LeVeque 1983).
"""

from typing import Any

import numpy as np
from numba import types

from nnkit.kernels.numba.codegen.denormals import flush_denormals, restore_denormals
from nnkit.kernels.numba.codegen.jit import by_type, inline, shared
from nnkit.kernels.numba.runtime.memory import ME
from nnkit.kernels.numba.runtime.tasks import add_rows, share
from nnkit.kernels.numba.runtime.team import barrier, my_range
from nnkit.kernels.numba.sums import plus

GRAIN = 1 << 15
"""Elements worth a thread."""
COLUMNS = 128
"""Columns taken at a time: all rows of them stay in the cache for the next pass."""


@by_type
def _rounded(x: Any) -> Any:
    """Whether the sum of an array loses digits in float64: that of float32 has some to spare."""
    answer = x.dtype == types.float64

    def constant(x: Any) -> Any:
        return answer

    return constant


@inline
def _moments(x: Any, first: int, mean: Any, var: Any) -> None:
    """Float64 mean and variance of the columns from `first` on."""
    n, last = len(x), first + mean.size
    rest = np.zeros(mean.size if _rounded(x) else 0)
    mean[:], var[:] = 0, 0
    for i in range(n):
        row = x[i, first:last]
        for j in range(mean.size):
            mean[j] += row[j]
    for j in range(mean.size):
        mean[j] /= n
    for i in range(n if _rounded(x) else 0):
        row = x[i, first:last]
        for j in range(rest.size):
            rest[j] += (row[j] - mean[j]) / n
    for i in range(n):
        row = x[i, first:last]
        for j in range(var.size):
            delta = row[j] - mean[j]
            if _rounded(x):
                delta -= rest[j]
            var[j] += delta * delta
    for j in range(rest.size):
        mean[j] += rest[j]
    for j in range(var.size):
        var[j] /= n


@inline
def _inverse_deviation(var: Any, eps: Any, inverse: Any) -> None:
    for j in range(inverse.size):
        inverse[j] = var.dtype.type(1) / np.sqrt(var[j] + eps)


@inline
def _normalize(
    x: Any, first: int, gamma: Any, beta: Any, mean: Any, var: Any, y: Any, eps: Any
) -> None:
    """``y = (x - mean) / sqrt(var + eps) * gamma + beta`` in the columns from `first` on."""
    last, factor = first + gamma.size, np.empty(gamma.size, x.dtype)
    _inverse_deviation(var, eps, factor)
    for j in range(gamma.size):
        factor[j] *= gamma[j]
    for i in range(len(x)):
        row, out = x[i, first:last], y[i, first:last]
        for j in range(gamma.size):
            out[j] = (row[j] - mean[j]) * factor[j] + beta[j]


@shared(GRAIN)
def batch_norm_inference(
    x: Any, gamma: Any, beta: Any, mean: Any, var: Any, y: Any, eps: float, team: Any
) -> None:
    """``y = (x - mean) / sqrt(var + eps) * gamma + beta`` for x, y (n, m)."""
    i, j = my_range(len(x), team)
    _normalize(x[i:j], 0, gamma, beta, mean, var, y[i:j], x.dtype.type(eps))


@inline
def _batch_norm(
    x: Any,
    first: int,
    gamma: Any,
    beta: Any,
    running_mean: Any,
    running_var: Any,
    mean: Any,
    var: Any,
    y: Any,
    eps: Any,
    momentum: float,
) -> None:
    """Normalise the columns from `first` on; vectors are those of these columns alone."""
    exact_mean, exact_var = np.empty(mean.size), np.empty(var.size)
    _moments(x, first, exact_mean, exact_var)
    unbiased = len(x) / (len(x) - 1)
    for j in range(mean.size):
        mean[j], var[j] = exact_mean[j], exact_var[j]
        running_mean[j] += momentum * (exact_mean[j] - running_mean[j])
        running_var[j] += momentum * (exact_var[j] * unbiased - running_var[j])
    _normalize(x, first, gamma, beta, mean, var, y, eps)


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
    team: Any,
) -> None:
    """Normalise the columns of x (n, m) by their own mean and variance, and follow the averages.

    Members share the columns, so that each column is added up in one order.
    """
    blocks, last = my_range(-(-x.shape[1] // COLUMNS), team)
    for first in range(blocks * COLUMNS, last * COLUMNS, COLUMNS):
        part = slice(first, min(first + COLUMNS, x.shape[1]))
        _batch_norm(
            x,
            first,
            gamma[part],
            beta[part],
            running_mean[part],
            running_var[part],
            mean[part],
            var[part],
            y,
            x.dtype.type(eps),
            momentum,
        )


@inline
def _batch_gradients(
    dy: Any,
    x: Any,
    first: int,
    gamma: Any,
    mean: Any,
    var: Any,
    dgamma: Any,
    dbeta: Any,
    dx: Any,
    eps: Any,
    batch_statistics: bool,
) -> None:
    """Give the gradients of the columns from `first` on, as `_batch_norm` takes them."""
    state = flush_denormals()
    n, m = len(x), gamma.size
    last = first + m
    inverse = np.empty(m, x.dtype)
    _inverse_deviation(var, eps, inverse)
    total, product = np.zeros(m), np.zeros(m)
    for i in range(n):
        row, d = x[i, first:last], dy[i, first:last]
        for j in range(m):
            total[j] += d[j]
            product[j] += d[j] * (row[j] - mean[j])
    constant, slope, factor = np.zeros(m, x.dtype), np.zeros(m, x.dtype), np.empty(m, x.dtype)
    for j in range(m):
        dbeta[j] = total[j]
        dgamma[j] = product[j] * inverse[j]
        factor[j] = gamma[j] * inverse[j]
        if batch_statistics:
            constant[j] = total[j] / n
            slope[j] = product[j] / n * inverse[j] * inverse[j]
    for i in range(n):
        row, d, out = x[i, first:last], dy[i, first:last], dx[i, first:last]
        for j in range(m):
            out[j] = factor[j] * (d[j] - (constant[j] + (row[j] - mean[j]) * slope[j]))
    restore_denormals(state)


@shared(GRAIN)
def batch_norm_backward(
    dy: Any,
    x: Any,
    gamma: Any,
    mean: Any,
    var: Any,
    dgamma: Any,
    dbeta: Any,
    dx: Any,
    eps: float,
    batch_statistics: bool,
    team: Any,
) -> None:
    """Give the gradients of x (n, m), gamma and beta (m,); members share the columns."""
    blocks, last = my_range(-(-x.shape[1] // COLUMNS), team)
    for first in range(blocks * COLUMNS, last * COLUMNS, COLUMNS):
        part = slice(first, min(first + COLUMNS, x.shape[1]))
        _batch_gradients(
            dy,
            x,
            first,
            gamma[part],
            mean[part],
            var[part],
            dgamma[part],
            dbeta[part],
            dx,
            x.dtype.type(eps),
            batch_statistics,
        )


@inline
def _sum_from(row: Any, origin: float) -> float:
    total = 0.0
    for j in range(row.size):
        total = plus(total, row[j] - origin)
    return total


@inline
def _layer_norm(x: Any, gamma: Any, beta: Any, mean: Any, inv_std: Any, y: Any, eps: float) -> None:
    n, m = x.shape
    for i in range(n):
        exact = _sum_from(x[i], 0.0) / m
        rest = _sum_from(x[i], exact) / m if _rounded(x) else 0.0
        squares = 0.0
        for j in range(m):
            delta = (x[i, j] - exact) - rest
            squares = plus(squares, delta * delta)
        mean[i] = exact + rest
        inv_std[i] = 1 / np.sqrt(squares / m + eps)
        center, inverse = mean[i], inv_std[i]
        for j in range(m):
            y[i, j] = (x[i, j] - center) * inverse * gamma[j] + beta[j]


@shared(GRAIN)
def layer_norm_forward(
    x: Any, gamma: Any, beta: Any, mean: Any, inv_std: Any, y: Any, eps: float, team: Any
) -> None:
    """Normalise each row of x (n, m) by its own mean and deviation, which are kept as (n,)."""
    i, j = my_range(len(x), team)
    _layer_norm(x[i:j], gamma, beta, mean[i:j], inv_std[i:j], y[i:j], eps)


@inline
def _layer_gradients(
    dy: Any, x: Any, gamma: Any, mean: Any, inv_std: Any, dgamma: Any, dbeta: Any, dx: Any
) -> None:
    state = flush_denormals()
    n, m = x.shape
    dgamma[:], dbeta[:] = 0, 0
    for i in range(n):
        center, inverse = mean[i], inv_std[i]
        total = product = x.dtype.type(0)
        for j in range(m):
            xhat = (x[i, j] - center) * inverse
            total = plus(total, dy[i, j] * gamma[j])
            product = plus(product, dy[i, j] * gamma[j] * xhat)
            dgamma[j] += dy[i, j] * xhat
            dbeta[j] += dy[i, j]
        total /= x.dtype.type(m)
        product /= x.dtype.type(m)
        for j in range(m):
            xhat = (x[i, j] - center) * inverse
            dx[i, j] = inverse * (dy[i, j] * gamma[j] - total - xhat * product)
    restore_denormals(state)


@shared(GRAIN)
def layer_norm_backward(
    dy: Any,
    x: Any,
    gamma: Any,
    mean: Any,
    inv_std: Any,
    dgamma: Any,
    dbeta: Any,
    dx: Any,
    sums: Any,
    team: Any,
) -> None:
    """Give the gradients of x (n, m), gamma and beta (m,).

    `sums` (2, tasks, m) receives each task's of gamma and of beta.
    """
    n = len(x)
    tasks = sums.shape[1]
    first, last = my_range(tasks, team)
    for t in range(first, last):
        i, j = share(n, tasks, t), share(n, tasks, t + 1)
        _layer_gradients(
            dy[i:j],
            x[i:j],
            gamma,
            mean[i:j],
            inv_std[i:j],
            sums[0, t],
            sums[1, t],
            dx[i:j],
        )
    barrier(team)
    if team[ME] == 0:
        add_rows(sums[0], dgamma)
        add_rows(sums[1], dbeta)
