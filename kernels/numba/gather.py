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
    """Row i of `out` is ``source[order[counters[STEP] * batch_size + i]]``; equal dtypes."""
    n = len(out)
    start = counters[STEP] * batch_size
    if n == 0:
        return
    m = out.size // n
    rows, result = source.reshape(len(source), m), out.reshape(n, m)
    first, last = my_range(n, team)
    if _all_there(order, start + first, start + last, len(rows)):
        for i in range(first, last):
            _copy(rows[order[start + i]], result[i])
        return
    for i in range(first, last):
        if _all_there(order, start + i, start + i + 1, len(rows)):
            _copy(rows[order[start + i]], result[i])
        else:
            result[i, :] = _nothing(out)


@inline
def _scale(row: Any, out: Any, factor: Any) -> None:
    for j in range(out.size):
        out[j] = out.dtype.type(row[j]) * factor


@shared(GRAIN)
def gather_scaled(
    source: Any, order: Any, counters: Any, batch_size: int, out: Any, team: Any
) -> None:
    """Do as `gather` from bytes to reals, scaled by 1/255."""
    n = len(out)
    start = counters[STEP] * batch_size
    if n == 0:
        return
    m = out.size // n
    rows, result = source.reshape(len(source), m), out.reshape(n, m)
    factor = out.dtype.type(1 / 255)
    first, last = my_range(n, team)
    if _all_there(order, start + first, start + last, len(rows)):
        for i in range(first, last):
            _scale(rows[order[start + i]], result[i], factor)
        return
    for i in range(first, last):
        if _all_there(order, start + i, start + i + 1, len(rows)):
            _scale(rows[order[start + i]], result[i], factor)
        else:
            result[i, :] = np.nan
