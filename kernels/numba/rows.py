"""Rows of logits and of probabilities: their largest element, sum and exponentials.

Rows are taken a tile at a time, which is read from memory once and stays in the cache until done.
The exponentials of narrow rows are computed over the tile as a whole: for ten classes too the
vector loop is long.
"""

from typing import Any

import numpy as np

from nnkit.kernels.numba.codegen.jit import inline
from nnkit.kernels.numba.maths import exp_nonpositive
from nnkit.kernels.numba.ordering import from_order, order
from nnkit.kernels.numba.sums import plus

TILE = 2048
"""Elements in a tile of narrow rows."""
WIDE = 256
"""Classes from which a row is long enough for vector loops of its own."""


@inline
def find_largest(row: Any) -> Any:
    """Give the largest element, NaN if there is one."""
    largest = order(row.dtype.type(-np.inf))
    for j in range(row.size):
        key = order(row[j])
        largest = key if key > largest else largest
    return from_order(largest)


@inline
def find_place(row: Any, value: Any) -> int:
    """Index of the first element that is `value` or NaN; the row's length if there is none."""
    for first in range(0, row.size, 256):
        part = row[first : first + 256]
        hits = np.int32(0)
        for j in range(part.size):
            hits += np.int32((part[j] == value) | (part[j] != part[j]))
        if hits > 0:
            for j in range(part.size):
                if part[j] == value or part[j] != part[j]:
                    return first + j
    return row.size  # type: ignore[no-any-return]


@inline
def is_answer(row: Any, label: int, largest: Any) -> bool:
    """Whether `label` is the place of the row's largest element, the first of equals."""
    if find_place(row[label : label + 1], largest) > 0:
        return False
    return bool(find_place(row[:label], largest) == label)


@inline
def _subtract(row: Any, value: Any, out: Any) -> None:
    for j in range(row.size):
        out[j] = row[j] - value


@inline
def _exp(y: Any) -> None:
    for j in range(y.size):
        y[j] = exp_nonpositive(y[j])


@inline
def add_up(row: Any) -> Any:
    """Sum of the elements."""
    total = row.dtype.type(0)
    for j in range(row.size):
        total = plus(total, row[j])
    return total


@inline
def _exp_row(x: Any, largest: Any, y: Any) -> Any:
    total = x.dtype.type(0)
    for j in range(x.size):
        e = exp_nonpositive(x[j] - largest)
        y[j] = e
        total = plus(total, e)
    return total


@inline
def exp_tile(x: Any, y: Any, largest: Any, total: Any) -> None:
    """In each row ``y = exp(x - largest)``, with the largest element and the sum of y."""
    n, m = x.shape
    for i in range(n):
        largest[i] = find_largest(x[i])
    if m >= WIDE:
        for i in range(n):
            total[i] = _exp_row(x[i], largest[i], y[i])
    else:
        for i in range(n):
            _subtract(x[i], largest[i], y[i])
        _exp(y.reshape(n * m))
        for i in range(n):
            total[i] = add_up(y[i])


@inline
def scale(row: Any, factor: Any) -> None:
    """``row *= factor``."""
    for j in range(row.size):
        row[j] *= factor


@inline
def tile_rows(n: int, m: int) -> int:
    """Rows in a tile, at least 1."""
    return max(1, min(n, TILE // max(1, m)))
