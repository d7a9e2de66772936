"""Gathering a shuffled mini-batch."""

from typing import Any

import numpy as np
from numba import types

from nnkit.kernels.numba.codegen.jit import by_type, inline, shared
from nnkit.kernels.numba.counters import STEP
from nnkit.kernels.numba.runtime.team import my_range

GRAIN = 1 << 14
"""Elements worth a thread."""


@inline
def _all_there(order: Any, first: int, last: int, n: int) -> bool:
    """Whether the order has these places, and the source, of n rows, what it says there."""
    if not 0 <= first <= order.size - (last - first):  # the sum in `last` may have overflowed
        return False
    missing = 0
    for row in order[first:last]:
        missing += (row < 0) | (row >= n)
    return missing == 0


@by_type
def _nothing(out: Any) -> Any:
    """Number of a row that is not there: NaN, or -1 among integers."""
    value = np.nan if isinstance(out.dtype, types.Float) else -1

    def constant(out: Any) -> Any:
        return value

    return constant


@inline
def _copy(row: Any, out: Any) -> None:
    for j in range(out.size):
        out[j] = row[j]


@shared(GRAIN)
def gather(source: Any, order: Any, counters: Any, batch_size: int, out: Any, team: Any) -> None:
    """Row i of `out` is ``source[order[counters[STEP] * batch_size + i]]``: matrices of a dtype."""
    start = counters[STEP] * batch_size
    first, last = my_range(len(out), team)
    if _all_there(order, start + first, start + last, len(source)):
        for i in range(first, last):
            _copy(source[order[start + i]], out[i])
        return
    for i in range(first, last):
        if _all_there(order, start + i, start + i + 1, len(source)):
            _copy(source[order[start + i]], out[i])
        else:
            out[i, :] = _nothing(out)


@inline
def _scale(row: Any, out: Any, factor: Any) -> None:
    for j in range(out.size):
        out[j] = out.dtype.type(row[j]) * factor


@shared(GRAIN)
def gather_scaled(
    source: Any, order: Any, counters: Any, batch_size: int, out: Any, team: Any
) -> None:
    """Do as `gather` from bytes to reals, scaled by 1/255."""
    start = counters[STEP] * batch_size
    factor = out.dtype.type(1 / 255)
    first, last = my_range(len(out), team)
    if _all_there(order, start + first, start + last, len(source)):
        for i in range(first, last):
            _scale(source[order[start + i]], out[i], factor)
        return
    for i in range(first, last):
        if _all_there(order, start + i, start + i + 1, len(source)):
            _scale(source[order[start + i]], out[i], factor)
        else:
            out[i, :] = np.nan
