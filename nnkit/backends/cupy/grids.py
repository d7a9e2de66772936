"""How the work of a kernel is divided: the sizes of its grid and of its blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.backends.cupy.launching import BLOCKS_PER_MULTIPROCESSOR
from nnkit.dtypes import arithmetic
from nnkit.kernels.cuda import THREADS

ACCESS_BYTES = 16
LANES = 32
"""Threads of a warp."""
ROWS_PER_THREAD = 16
"""Rows that one thread adds up before a column sum is worth dividing among blocks."""
ROWS_OF_FEW = 4
"""The same where there are so few numbers that a thread waits for each row."""
BLOCKS_PER_FEW = 4 * BLOCKS_PER_MULTIPROCESSOR
"""Few blocks are those of a quarter of the multiprocessors."""
LARGEST_BLOCK_BYTES = 4096
"""One number to compute with for each thread of a block that works on a wide row."""


def packs(size: int, dtype: np.dtype[Any]) -> int:
    """Accesses of 16 bytes that `size` elements take."""
    return -(-size * dtype.itemsize // ACCESS_BYTES)


def power_of_two(n: int) -> int:
    """Return the smallest power of two that is not below n (n >= 1)."""
    return 1 << (n - 1).bit_length()


def blocks(threads: int, most: int) -> int:
    """Blocks for so many threads, `most` at most; kernels go on to what is left."""
    return max(1, min(-(-threads // THREADS), most))


def team(rows: int, columns: int, dtype: np.dtype[Any], most: int) -> tuple[str, int, int]:
    """Choose who works on a row (see rows.cuh): the kernel's suffix, blocks and threads."""
    of_row = packs(columns, dtype)
    lanes = min(LANES, power_of_two(of_row))
    if of_row <= min(8, 2 * dtype.itemsize) * lanes:
        return "" if of_row <= lanes else "_long", blocks(rows * lanes, most), THREADS
    largest = LARGEST_BLOCK_BYTES // arithmetic(dtype).itemsize
    threads = min(largest, power_of_two(-(-of_row // 4)))  # four packs or more for each thread
    return "_wide", max(1, min(rows, most)), threads


def matrix(
    rows: int, columns: int, dtype: np.dtype[Any], most: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Grid and block for work on each pack of a matrix, whatever lies beside it."""
    of_row = packs(columns, dtype)
    width = min(THREADS, power_of_two(of_row))
    height, across = THREADS // width, min(-(-of_row // width), most)
    return (across, min(-(-rows // height), max(1, most // across))), (width, height)


def tiles(
    rows: int, columns: int, dtype: np.dtype[Any], most: int, narrow: bool = False
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Grid and block for work on columns: blocks as wide as the matrix, up to a warp.

    Where `narrow`, tall ones if those were too few. Two packs, 32 bytes, are the least that memory
    is read by.
    """
    of_row = packs(columns, dtype)
    width = min(LANES, power_of_two(of_row))
    multiprocessors = most // BLOCKS_PER_MULTIPROCESSOR
    while narrow and width > 2 and THREADS // width < rows and of_row // width < multiprocessors:
        width //= 2
    height, across = THREADS // width, -(-of_row // width)
    groups = min(-(-rows // (height * ROWS_PER_THREAD)), most // across)
    return (across, max(1, groups)), (width, height)


def sums(
    rows: int, columns: int, dtype: np.dtype[Any], most: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Grid and block for sums of columns: those of `tiles`, or tall ones if those were few.

    A small matrix is in the cache, and what it takes is the time of one row after the other: so
    there a block has as many rows as it can, and a thread few of them.
    """
    grid, block = tiles(rows, columns, dtype, most)
    if BLOCKS_PER_FEW * grid[0] * grid[1] >= most:
        return grid, block
    (across, _), (width, height) = tiles(rows, columns, dtype, most, narrow=True)
    groups = min(-(-rows // (height * ROWS_OF_FEW)), most // across)
    return (across, max(1, groups)), (width, height)
