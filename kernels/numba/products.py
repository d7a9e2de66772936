"""Matrix products, shared by a team.

The result is cut into panels some vectors wide, and these into tiles (see codegen/tile.py). Every
member computes some of the tiles, one panel after the other: some rows of all panels where the
result is high, so that weights are updated by whose cache has their gradients, else some panels.

A panel's part of b should stay in a cache while all tiles of the panel are computed, and what tiles
read should come from few places. So b is multiplied some rows at a time. Of a transposed b the
member first transposes the panels it needs. What else would be read from many places (the rows of
a wide b, the columns of a transposed a) is copied where vectors are short, and the more of it is
therefore read for each multiplication.
"""

from functools import lru_cache
from typing import Any

import numpy as np

from nnkit.kernels.numba.codegen.denormals import flush_denormals, restore_denormals
from nnkit.kernels.numba.codegen.jit import inline, shared
from nnkit.kernels.numba.codegen.processor import LINE, REGISTER_BYTES
from nnkit.kernels.numba.codegen.tile import PADDED, TILE_ROWS, tile
from nnkit.kernels.numba.packing import (
    copy_panels,
    copy_strips,
    line_start,
    transpose_panels,
    up,
)
from nnkit.kernels.numba.runtime.memory import SIZE
from nnkit.kernels.numba.runtime.tasks import share
from nnkit.kernels.numba.runtime.team import my_range

GRAIN = 1 << 17
"""Multiplications worth a thread."""
DEPTH = 512
"""Rows of b that are multiplied at a time."""
NARROW = REGISTER_BYTES < 64
"""Whether vectors are so short that tiles read much for what they multiply."""
SHALLOW = DEPTH // 2 if NARROW else DEPTH
"""The same of rows that need not be transposed: a narrow panel of them fits in 32 KiB."""
WORTH_COPYING = 64
"""Rows of a for which panels are copied, and columns of b for which strips of a are: a copy costs
as much as six to ten of them, and saves a tenth."""
WIDE_BYTES = 2048
"""Length of the rows of a wide b."""
PANELS_BYTES, STRIPS_BYTES = 1 << 20, 1 << 18
"""What is copied at a time: what a cache of the second level holds, or little more."""
TILES_TO_SHARE = 8
"""Tiles for each member, of one panel, from which they can share its rows evenly."""
HEIGHTS = (1, *TILE_ROWS.values())
"""Rows of a tile, by its width in vectors."""
TIMES = tuple(4 * width * height + width + height for width, height in enumerate(HEIGHTS))
"""Time of a tile for each k, by its width: its loads count a quarter of its multiplications."""


def _time(n: int, vectors: int, width: int) -> int:
    """Time of a result of n rows, some vectors wide, with tiles of this width."""
    rest = vectors % width
    whole = vectors // width * -(-n // HEIGHTS[width]) * TIMES[width]
    return whole + -(-n // HEIGHTS[rest]) * TIMES[rest] if rest > 0 else whole


_total_time = inline(_time)


@lru_cache(1024)
def best_width(n: int, m: int, itemsize: int) -> int:
    """Give the width of tiles, in vectors, that takes the least time, edges included."""
    vectors = -(-m // (REGISTER_BYTES // itemsize))
    widths = range(1, max(2, min(vectors + 1, len(HEIGHTS))))
    return min(reversed(widths), key=lambda width: _time(n, vectors, width))


@inline
def _before(edge: int, time: int, tiles: int) -> Any:
    """How many of a panel's tiles begin before some moment."""
    return min(max(up(edge, time), 0), tiles)


@inline
def _my_panels(panels: int, tiles: int, whole: int, total: int, team: Any) -> Any:
    """Which panels this member computes tiles of, and which tiles of them: first and last.

    `whole` is the time of a panel, `total` that of all of them, 0 where rows are shared.
    """
    if total == 0:
        return 0, panels, *my_range(tiles, team)
    begin, end = my_range(total, team)
    return min(begin // whole, panels - 1), min(up(end, whole), panels), 0, tiles


@inline
def _my_tiles(before: int, time: int, tiles: int, total: int, team: Any) -> Any:
    """First and last of the tiles of a panel that this member computes: see `_my_panels`.

    `before` is the time of the panels before it, and each tile takes `time`.
    """
    if total == 0:
        return my_range(tiles, team)
    begin, end = my_range(total, team)
    return _before(begin - before, time, tiles), _before(end - before, time, tiles)


@inline
def _first_copied(b: Any, n: int, m: int, panels: int, lanes: int) -> int:
    """The first panel of b that is copied: all are, none, or the last."""
    scattered = m * b.itemsize >= WIDE_BYTES or m % lanes > 0 or b.ctypes.data % REGISTER_BYTES > 0
    if NARROW and n >= WORTH_COPYING and panels > 1 and scattered:
        return 0
    return panels - 1 if PADDED and m % lanes > 0 else panels


@inline
def _compute(
    width: int,
    left: Any,
    right: Any,
    out: Any,
    out_at: int,
    n: int,
    m: int,
    deep: int,
    low: int,
    high: int,
    last: int,
    add: bool,
) -> None:
    """Compute tiles of a panel. `left` and `right` tell where a and b are, as `tile` wants it."""
    a, a_at, a_apart, a_row, a_column = left
    b, b_at, b_row = right
    for t in range(low, high):
        i = t * HEIGHTS[width]
        tile(
            *(width, a, a_at + t * a_apart, a_row, a_column, b, b_at, b_row),
            *(out, out_at + i * m, m, deep, min(HEIGHTS[width], n - i), last, add),
        )


@inline
def _multiply(
    a: Any,
    a_row: int,
    a_column: int,
    b: Any,
    b_row: int,
    b_transposed: bool,
    out: Any,
    n: int,
    depth: int,
    m: int,
    width: int,
    team: Any,
) -> None:
    """``out = a @ b`` of (n, depth) and (depth, m), of flat arrays."""
    state = flush_denormals()
    lanes, line = REGISTER_BYTES // a.itemsize, LINE // a.itemsize
    panel, vectors, height = width * lanes, up(m, lanes), HEIGHTS[width]
    panels, tiles = up(vectors, width), up(n, height)
    by_rows = n >= m and tiles >= TILES_TO_SHARE * team[SIZE]
    whole, total = tiles * TIMES[width], 0 if by_rows else _total_time(n, vectors, width)
    first, last, lowest, highest = _my_panels(panels, tiles, whole, total, team)

    blocks = up(depth, DEPTH if b_transposed else SHALLOW)
    deepest = up(depth, blocks)
    apart, strip_apart = deepest * panel + line, deepest * height + line
    first_copied = 0 if b_transposed else _first_copied(b, n, m, panels, lanes)
    together = max(1, PANELS_BYTES // (apart * a.itemsize)) if first_copied == 0 else panels
    copies = max(0, min(together, last - max(first, first_copied)))
    part = np.empty(copies * apart + lanes * panel + line if copies > 0 else 0, a.dtype)
    stripped = NARROW and a_row == 1 and (last - first) * panel >= WORTH_COPYING
    strips = max(1, STRIPS_BYTES // (4 * strip_apart * a.itemsize)) * 4 if stripped else tiles
    strip = np.empty(min(strips, tiles) * strip_apart if stripped else 0, a.dtype)

    at = line_start(part)
    for group in range(first, last, together):
        group_end, copied = min(group + together, last), max(group, first_copied)
        columns = min(group_end * panel, m) - copied * panel
        for block in range(blocks):
            k = share(depth, blocks, block)
            deep = share(depth, blocks, block + 1) - k
            if b_transposed:
                place = copied * panel * b_row + k
                transpose_panels(b, place, b_row, deep, columns, part, at, apart, panel, lanes)
            elif columns > 0:
                place = copied * panel + k * b_row
                copy_panels(b, place, b_row, deep, columns, part, at, apart, panel, lanes)
            for some in range(lowest, highest, strips):
                if stripped:
                    place, rows = some * height + k * a_column, n - some * height
                    rows = min(min(strips, highest - some) * height, rows)
                    copy_strips(a, place, a_column, rows, deep, strip, strip_apart, height)
                for j in range(group, group_end):
                    now = min(width, vectors - j * width)
                    low, high = _my_tiles(j * whole, TIMES[now], up(n, HEIGHTS[now]), total, team)
                    left = a, k * a_column, HEIGHTS[now] * a_row, a_row, a_column
                    if stripped and now == width:
                        left = strip, -some * strip_apart, strip_apart, 1, height
                        low, high = max(low, some), min(high, some + strips)
                    elif some > lowest:
                        high = low
                    right = b, j * panel + k * b_row, b_row
                    if j >= first_copied:
                        right = part, at + (j - copied) * apart, now * lanes
                    used = min(m - j * panel - (now - 1) * lanes, lanes)
                    _compute(now, left, right, out, j * panel, n, m, deep, low, high, used, k > 0)
    restore_denormals(state)


@shared(GRAIN)
def product(
    a: Any, b: Any, out: Any, a_transposed: bool, b_transposed: bool, width: int, team: Any
) -> None:
    """``out = a @ b``, ``a.T @ b``, ``a @ b.T`` or ``a.T @ b.T`` for C-contiguous matrices.

    `width` is that of the tiles, in vectors: see `best_width`.
    """
    n, m = out.shape
    depth = len(a) if a_transposed else a.shape[1]
    if depth * out.size == 0:
        out[:] = 0
        return
    a_row, a_column = (1, n) if a_transposed else (depth, 1)
    b_row = depth if b_transposed else m
    x, y, z = a.reshape(a.size), b.reshape(b.size), out.reshape(out.size)
    _multiply(x, a_row, a_column, y, b_row, b_transposed, z, n, depth, m, width, team)
