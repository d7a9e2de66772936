"""The kinds of kernels there are, and how each is launched."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.backends.contract import Array
from nnkit.backends.cupy.grids import ACCESS_BYTES, blocks, packs, team, tiles
from nnkit.backends.cupy.grids import sums as sums_grid
from nnkit.backends.cupy.launching import Launcher
from nnkit.dtypes import arithmetic
from nnkit.kernels.cuda import THREADS


def real(like: Array, number: float) -> np.generic:
    """Return a number as the kernels for arrays like this one compute with it."""
    scalar: np.generic = arithmetic(like.dtype).type(number)
    return scalar


def flat(launcher: Launcher, file: str, name: str, array: Array, *args: Any) -> None:
    """Launch a kernel on a flat array, if it has elements, with its size as last argument."""
    size = array.size
    if size:
        grid = (blocks(packs(size, array.dtype), launcher.most_blocks),)
        launcher.launch(file, name, array.dtype, grid, (THREADS,), (*args, np.int64(size)))


def rows(launcher: Launcher, file: str, name: str, out: Array, *args: Any) -> None:
    """Launch a kernel of rows.cuh that leaves nothing but `out`."""
    if out.size:
        columns = out.shape[-1]
        count = out.size // columns
        suffix, grid, threads = team(count, columns, out.dtype, launcher.most_blocks)
        sizes = np.int64(count), np.int32(columns)
        launcher.launch(file, name + suffix, out.dtype, (grid,), (threads,), args + sizes)


def columns(
    launcher: Launcher,
    file: str,
    name: str,
    like: Array,
    args: tuple[Any, ...],
    tail: tuple[Any, ...] = (),
) -> None:
    """Launch a kernel of statistics.cuh on the columns of matrices like this one."""
    count, width = like.shape
    grid, block = tiles(count, width, like.dtype, launcher.most_blocks, narrow=True)
    sizes = np.int64(count), np.int64(width)
    launcher.launch(file, name, like.dtype, grid, block, args + sizes + tail)


def merged_columns(
    launcher: Launcher, file: str, name: str, like: Array, args: tuple[Any, ...]
) -> int:
    """Launch one that ends with merge_columns(); returns the blocks that share each column."""
    count, width = like.shape
    grid, block = tiles(count, width, like.dtype, launcher.most_blocks, narrow=True)
    across, groups = grid
    reals = 2 * (ACCESS_BYTES // like.dtype.itemsize) + 1  # in the larger Part, Moments
    partial = launcher.scratch(groups * across * block[0] * reals, arithmetic(like.dtype))
    columns(launcher, file, name, like, args, (partial, launcher.scratch(across, np.uint32)))
    return groups


def column_sums(
    launcher: Launcher, name: str, head: tuple[Any, ...], shape: tuple[int, int], sums: Array
) -> None:
    """Launch a kernel of activations.cu that ends with column_sums() of columns.cuh."""
    count, width = shape
    if width:
        grid, block = sums_grid(count, width, sums.dtype, launcher.most_blocks)
        partial = launcher.scratch(grid[1] * width, arithmetic(sums.dtype))
        done = launcher.scratch(grid[0], np.uint32)
        tail = sums, np.int64(count), np.int64(width), partial, done
        launcher.launch("activations", name, sums.dtype, grid, block, head + tail)


def loss(
    launcher: Launcher,
    file: str,
    name: str,
    dy: Array,
    grid: int,
    threads: int,
    args: tuple[Any, ...],
    log: Array,
    counters: Array,
) -> None:
    """Launch a kernel that ends with write_log() of reduce.cuh.

    What two blocks would do one does sooner, which need not wait for the other, but for wide rows.
    """
    if grid == 2 and not name.endswith("_wide"):
        grid = 1
    scratch = launcher.scratch(2 * grid, np.float64), launcher.scratch(1, np.uint32)
    tail = *scratch, log, np.int64(len(log)), counters
    launcher.launch(file, name, dy.dtype, (grid,), (threads,), args + tail)
