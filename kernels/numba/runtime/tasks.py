"""How kernels divide their work among threads.

Elementwise kernels split their elements among threads. Kernels that add up split them into tasks,
whose number depends on the size alone, and add the tasks' sums in order: the result has the same
bits for every number of threads.
"""

from typing import Any

import numpy as np

from nnkit.kernels.numba.codegen.jit import inline

MAX_TASKS = 32
CHUNK = 64
"""Splits are multiples of it: no two threads write to one cache line."""


def task_count(rows: int, size: int, grain: int) -> int:
    """Give the number of tasks for `size` elements in `rows` rows, at least 1.

    The backend asks for it, which allocates the sums.
    """
    return max(1, min(rows, size // grain, MAX_TASKS))


@inline
def share(n: int, parts: int, i: int) -> int:
    """Where part `i` of `n` things divided into `parts` begins (part ``i + 1``: where it ends)."""
    return n * i // parts


@inline
def chunk(n: int, parts: int, i: int) -> int:
    """Where part `i` of `n` elements begins, on a multiple of CHUNK."""
    return n if i == parts else n * i // parts // CHUNK * CHUNK


@inline
def add_rows(rows: Any, total: Any) -> None:
    """``total = sum of rows``, one after the other."""
    for j in range(total.size):
        total[j] = rows[0, j]
    for t in range(1, len(rows)):
        for j in range(total.size):
            total[j] += rows[t, j]


@inline
def sum_in_order(values: Any) -> float:
    """Add float64 numbers one after the other."""
    total = np.float64(0)
    for value in values:
        total += value
    return total
