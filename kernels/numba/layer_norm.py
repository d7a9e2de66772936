"""Layer normalisation, row by row.

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


@by_type
def _rounded(x: Any) -> Any:
    """Whether the sum of an array loses digits in float64: that of float32 has some to spare."""
    answer = x.dtype == types.float64

    def constant(x: Any) -> Any:
        return answer

    return constant


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
