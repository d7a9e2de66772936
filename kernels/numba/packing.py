"""Copies of parts of matrices, in the order in which the tiles of a product read them.

What lies that way is fetched ahead by the processor, falls on few sets of the cache, and whole
vectors of it share no cache line (Goto & van de Geijn 2008, "Anatomy of high-performance matrix
multiplication"). Panels and strips are a cache line farther apart than they are long: whole pages
apart, they would fall on the same sets of the cache.
"""

from typing import Any

from nnkit.kernels.numba.codegen.copies import move, move_four, move_row, turn
from nnkit.kernels.numba.codegen.jit import inline
from nnkit.kernels.numba.codegen.processor import LINE


@inline
def up(n: int, divisor: int) -> int:
    """``n / divisor``, rounded up."""
    return (n + divisor - 1) // divisor


@inline
def line_start(array: Any) -> Any:
    """The first place of an array that begins a cache line."""
    return -array.ctypes.data % LINE // array.itemsize


@inline
def copy_panels(
    b: Any,
    first: int,
    row: int,
    rows: int,
    columns: int,
    out: Any,
    at: int,
    apart: int,
    panel: int,
    lanes: int,
) -> None:
    """Copy a part of b in panels so many columns wide, in one pass over its rows.

    They begin at a place of `out`, and are so far apart. The last one's rows are a multiple of
    `lanes` long.
    """
    panels, rest = columns // panel, columns % panel
    whole, part = rest // lanes, rest % lanes
    for k in range(rows):
        source, target = first + k * row, at + k * panel
        for _ in range(panels):
            move_row(panel // lanes, b, source, out, target, row)
            source, target = source + panel, target + apart
        target = at + panels * apart + k * up(rest, lanes) * lanes
        if whole > 0:
            move_row(whole, b, source, out, target, row)
        if part > 0:
            move(b, source + whole * lanes, part, out, target + whole * lanes)


@inline
def transpose(
    b: Any, first: int, row: int, rows: int, columns: int, out: Any, at: int, lanes: int
) -> None:
    """Write ``b.T`` for a part of b into `out`, whose rows are a multiple of `lanes` long.

    As many rows as b has columns, rounded up to a multiple of `lanes`, are written.
    """
    length = up(rows, lanes) * lanes
    for i in range(0, rows, lanes):
        for k in range(0, columns, lanes):
            place = first + i * row + k
            n, m = min(lanes, rows - i), min(lanes, columns - k)
            turn(b, place, row, n, m, out, at + k * length + i, length)


@inline
def transpose_panels(
    b: Any,
    first: int,
    row: int,
    rows: int,
    columns: int,
    out: Any,
    at: int,
    apart: int,
    panel: int,
    lanes: int,
) -> None:
    """Do as `copy_panels` for ``b.T``, of which so many rows and columns are copied."""
    for j in range(up(columns, panel)):
        wide = min(panel, columns - j * panel)
        transpose(b, first + j * panel * row, row, wide, rows, out, at + j * apart, lanes)


@inline
def copy_strips(
    a: Any, first: int, row: int, rows: int, columns: int, out: Any, apart: int, height: int
) -> None:
    """Copy a part of ``a.T`` in strips of as many rows as a tile has, column after column.

    Four of them at a time, which read whole cache lines. They are so far apart in `out`.
    """
    strips = rows // (4 * height) * 4
    for i in range(0, strips, 4):
        for k in range(columns):
            source, target = first + i * height + k * row, i * apart + k * height
            move_four(height, a, source, out, target, apart)
    for i in range(strips * height, rows):
        target = i // height * apart + i % height
        for k in range(columns):
            out[target + k * height] = a[first + i + k * row]
