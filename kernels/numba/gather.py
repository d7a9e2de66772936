"""Gathering a shuffled mini-batch."""

from typing import Any

from nnkit.kernels.numba.codegen.jit import inline, shared
from nnkit.kernels.numba.counters import STEP
from nnkit.kernels.numba.runtime.team import my_range

GRAIN = 1 << 14
"""Elements worth a thread."""


@inline
def _copy(row: Any, out: Any) -> None:
    for j in range(out.size):
        out[j] = row[j]


@shared(GRAIN)
def gather(source: Any, order: Any, counters: Any, batch_size: int, out: Any, team: Any) -> None:
    """Row i of `out` is ``source[order[counters[STEP] * batch_size + i]]``; equal dtypes."""
    n = len(out)
    start = counters[STEP] * batch_size
    m = out.size // max(1, n)
    rows, result = source.reshape(len(source), m), out.reshape(n, m)
    first, last = my_range(n, team)
    for i in range(first, last):
        _copy(rows[order[start + i]], result[i])


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
    m = out.size // max(1, n)
    rows, result = source.reshape(len(source), m), out.reshape(n, m)
    factor = out.dtype.type(1 / 255)
    first, last = my_range(n, team)
    for i in range(first, last):
        _scale(rows[order[start + i]], result[i], factor)
