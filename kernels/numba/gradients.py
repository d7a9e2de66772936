"""What happens to all gradients between the backward pass and the update, on flat buffers."""

from typing import Any

import numpy as np

from nnkit.kernels.numba.codegen.denormals import flush_denormals, restore_denormals
from nnkit.kernels.numba.codegen.jit import inline, shared
from nnkit.kernels.numba.runtime.memory import ME
from nnkit.kernels.numba.runtime.tasks import chunk, sum_in_order
from nnkit.kernels.numba.runtime.team import barrier, my_chunk, my_range
from nnkit.kernels.numba.sums import plus

GRAIN = 1 << 15
"""Elements worth a thread."""


@inline
def _accumulate(g: Any, total: Any, weight: Any, start: bool) -> None:
    state = flush_denormals()
    if start:
        for i in range(g.size):
            total[i] = weight * g[i]
    else:
        for i in range(g.size):
            total[i] += weight * g[i]
    restore_denormals(state)


@shared(GRAIN)
def accumulate(g: Any, total: Any, weight: float, start: bool, team: Any) -> None:
    """``total = weight * g`` to start with, else ``total += weight * g``."""
    i, j = my_chunk(g.size, team)
    _accumulate(g[i:j], total[i:j], g.dtype.type(weight), start)


@inline
def _sum_of_squares(x: Any) -> float:
    total = 0.0
    for i in range(x.size):
        total = plus(total, np.float64(x[i]) * np.float64(x[i]))
    return total


@shared(GRAIN)
def sum_of_squares(x: Any, total: Any, start: bool, sums: Any, team: Any) -> None:
    """``total[0] = sum(x**2)`` to start with, else ``total[0] += sum(x**2)``.

    `sums` (tasks,) of float64 receives what each task adds up.
    """
    n = x.size
    tasks = sums.size
    first, last = my_range(tasks, team)
    for t in range(first, last):
        sums[t] = _sum_of_squares(x[chunk(n, tasks, t) : chunk(n, tasks, t + 1)])
    barrier(team)
    if team[ME] == 0:
        total[0] = sum_in_order(sums) if start else total[0] + sum_in_order(sums)


@inline
def _scale(x: Any, factor: Any) -> None:
    state = flush_denormals()
    for i in range(x.size):
        x[i] *= factor
    restore_denormals(state)


@shared(GRAIN)
def clip(x: Any, total: Any, limit: float, team: Any) -> None:
    """``x *= limit / (sqrt(total[0]) + 1e-6)`` if that is below 1."""
    factor = limit / (np.sqrt(total[0]) + 1e-6)
    if factor < 1:
        i, j = my_chunk(x.size, team)
        _scale(x[i:j], x.dtype.type(factor))
