"""Batch normalisation of a batch that several ranks share.

What each rank finds in its rows, and what all of them make of it: see batch_norm.py for one rank.
"""

from typing import Any

import numpy as np

from nnkit.kernels.numba.batch_gradients import gradient_sums, input_gradient, merge_sums
from nnkit.kernels.numba.codegen.jit import shared
from nnkit.kernels.numba.moments import column_moments, merge_moments
from nnkit.kernels.numba.runtime.memory import ME
from nnkit.kernels.numba.runtime.tasks import share
from nnkit.kernels.numba.runtime.team import barrier, my_chunk, my_range

GRAIN = 1 << 15
"""Elements worth a thread, and elements that a task has at least."""


@shared(GRAIN)
def batch_norm_moments(x: Any, place: int, moments: Any, sums: Any, team: Any) -> None:
    """Write number, mean and squared deviations of the columns of x (n, m) to row `place`.

    The other rows of `moments` (ranks, 2 m + 1) become 0. `sums` (3, tasks, m), float64, receives
    what each task finds in its rows.
    """
    n, m = x.shape
    tasks = sums.shape[1]
    if team[ME] == 0:
        moments[:] = 0
        moments[place, 0] = n
    if n == 0:
        return
    first, last = my_range(tasks, team)
    for t in range(first, last):
        i, j = share(n, tasks, t), share(n, tasks, t + 1)
        column_moments(x[i:j], sums[0, t], sums[1, t], sums[2, t])
    barrier(team)
    i, j = my_chunk(m, team)
    mean, var = np.empty(j - i), np.empty(j - i)
    merge_moments(sums, n, i, mean, var)
    for k in range(j - i):
        moments[place, 1 + i + k], moments[place, 1 + m + i + k] = mean[k], var[k] * n


@shared(GRAIN)
def batch_norm_merge(
    moments: Any,
    running_mean: Any,
    running_var: Any,
    mean: Any,
    var: Any,
    momentum: float,
    team: Any,
) -> None:
    """Give mean and variance (m,) over all ranks' rows, and have the averages follow.

    One rank is merged after the other (Chan, Golub & LeVeque 1979).
    """
    ranks, m = len(moments), mean.size
    first, last = my_chunk(m, team)
    for j in range(first, last):
        count = center = squares = 0.0
        for rank in range(ranks):
            more = np.float64(moments[rank, 0])
            if more == 0:
                continue
            if count == 0:
                center = np.float64(moments[rank, 1 + j])
            delta = moments[rank, 1 + j] - center
            squares += moments[rank, 1 + m + j] + delta * delta * (count * more / (count + more))
            center += delta * (more / (count + more))
            count += more
        mean[j], var[j] = center, squares / count
        running_mean[j] += momentum * (center - running_mean[j])
        running_var[j] += momentum * (squares / (count - 1) - running_var[j])


@shared(GRAIN)
def batch_norm_sums(
    dy: Any,
    y: Any,
    x: Any,
    mean: Any,
    var: Any,
    dgamma: Any,
    dbeta: Any,
    both: Any,
    eps: float,
    relu: bool,
    sums: Any,
    team: Any,
) -> None:
    """Give the gradients of beta and gamma by these rows, and `both` (2, m) to be added up.

    `sums` (2, tasks, m), float64, receives what each task adds up.
    """
    n, m = x.shape
    tasks = sums.shape[1]
    first, last = my_range(tasks, team)
    for t in range(first, last):
        i, j = share(n, tasks, t), share(n, tasks, t + 1)
        gradient_sums(dy[i:j], y[i:j], x[i:j], mean, relu, sums[0, t], sums[1, t])
    barrier(team)
    i, j = my_chunk(m, team)
    merge_sums(sums[:, :, i:j], var[i:j], dgamma[i:j], dbeta[i:j], x.dtype.type(eps), 0.0)
    both[0, i:j], both[1, i:j] = dbeta[i:j], dgamma[i:j]


@shared(GRAIN)
def batch_norm_input_gradient(
    dy: Any,
    y: Any,
    x: Any,
    gamma: Any,
    mean: Any,
    var: Any,
    both: Any,
    dx: Any,
    eps: float,
    count: int,
    relu: bool,
    team: Any,
) -> None:
    """Give dx (n, m) by the sums `both` (2, m) over all `count` rows."""
    means = np.empty((2, mean.size))
    for j in range(mean.size):
        means[0, j] = both[0, j] / count
        means[1, j] = both[1, j] * np.sqrt(var[j] + eps) / count
    i, j = my_range(len(x), team)
    rows = dy[i:j], y[i:j], x[i:j]
    input_gradient(*rows, gamma, mean, var, means, dx[i:j], x.dtype.type(eps), relu)
