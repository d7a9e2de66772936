"""How kernels divide their work among threads.

Elementwise kernels split their elements among threads. Kernels that add up split them into tasks,
whose number depends on the size alone, and add the tasks' sums in order: the result has the same
bits for every number of threads.
"""

from typing import Any

import numpy as np

from nnkit.kernels.numba.jit import helper

MAX_TASKS = 32
CHUNK = 64
"""Splits are multiples of it: no two threads write to one cache line."""


def task_count(rows: int, size: int, grain: int) -> int:
    """Give the number of tasks for `size` elements in `rows` rows, at least 1.

    The backend asks for it, which allocates the sums.
    """
    return max(1, min(rows, size // grain, MAX_TASKS))


@helper
def share(n: int, parts: int, i: int) -> int:
    """Where part `i` of `n` things divided into `parts` begins (part ``i + 1``: where it ends)."""
    return n * i // parts


@helper
def chunk(n: int, parts: int, i: int) -> int:
    """Where part `i` of `n` elements begins, on a multiple of CHUNK."""
    return n if i == parts else n * i // parts // CHUNK * CHUNK


@helper
def same(a: Any, b: Any) -> bool:
    """Whether two arrays begin at the same place."""
    return a.ctypes.data == b.ctypes.data  # type: ignore[no-any-return]


@helper
def apart(x: Any, scratch: Any) -> Any:
    """Give `x`, or a copy in `scratch` if that is not empty.

    For operations in place: vector loops begin with a check that input and output do not overlap,
    and go to the scalar loop where they do, even where they are the same.
    """
    if scratch.size == 0:
        return x
    for i in range(x.size):
        scratch[i] = x[i]
    return scratch[: x.size]


@helper
def tile_width(size: int, m: int) -> int:
    """Elements in a tile: rows of `m`, a power of two of them, enough for a long vector loop."""
    rows = 1
    while rows * m < min(size, 1024):
        rows *= 2
    return max(1, rows * m)


@helper
def repeat_row(row: Any, tile: Any) -> None:
    """Fill a tile with copies of a row, doubling each time."""
    m = row.size
    for j in range(m):
        tile[j] = row[j]
    done = m
    while 0 < done < tile.size:
        for i in range(done):
            tile[done + i] = tile[i]
        done *= 2


@helper
def fold_tile(tile: Any, row: Any) -> None:
    """Add the copies of a row in a tile, halving it each time."""
    m = row.size
    half = tile.size // 2
    while half >= m and half > 0:
        for i in range(half):
            tile[i] += tile[half + i]
        half //= 2
    for j in range(m):
        row[j] = tile[j]


@helper
def add_rows(rows: Any, total: Any) -> None:
    """``total = sum of rows``, one after the other."""
    for j in range(total.size):
        total[j] = rows[0, j]
    for t in range(1, len(rows)):
        for j in range(total.size):
            total[j] += rows[t, j]


@helper
def sum_in_order(values: Any) -> float:
    """Add float64 numbers one after the other."""
    total = np.float64(0)
    for value in values:
        total += value
    return total
