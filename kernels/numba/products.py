"""Matrix products, shared by a team.

The result is cut into panels some vectors wide, and these into tiles (see codegen/tile.py). Every
member computes some of the tiles. Of a transposed b, the member first transposes a part that stays
in the second-level cache, and where vectors are short it copies such a part of b; everything else
is read where it is.
"""

from functools import cache
from typing import Any

import numpy as np

from nnkit.kernels.numba.codegen.copies import move, turn
from nnkit.kernels.numba.codegen.denormals import flush_denormals, restore_denormals
from nnkit.kernels.numba.codegen.jit import inline, kernel, shared
from nnkit.kernels.numba.codegen.processor import REGISTER_BYTES
from nnkit.kernels.numba.codegen.tile import PADDED, TILE_ROWS, tile
from nnkit.kernels.numba.runtime.memory import ME, SIZE
from nnkit.kernels.numba.runtime.tasks import share

GRAIN = 1 << 17
"""Multiplications worth a thread."""
DEPTH = 512
"""Rows of b that are multiplied at a time."""
NARROW = REGISTER_BYTES < 64
"""Whether a panel's rows are so short that reading them where they are, in the rows of a wide b,
wastes much of the cache: then they are copied first."""
WORTH_COPYING = 64
"""Rows of a for which a panel is copied: that costs as much as some of them."""
WIDE_BYTES = 2048
"""Length of the rows of a wide b."""
HEIGHTS = (0, *TILE_ROWS.values())
"""Rows of a tile, by its width in vectors."""


@inline
def _up(n: int, divisor: int) -> int:
    """``n / divisor``, rounded up."""
    return (n + divisor - 1) // divisor


@inline
def _tile_time(width: int) -> Any:
    """Time of a tile for each k: its loads count a quarter of its multiplications."""
    height = HEIGHTS[width]
    return 4 * width * height + width + height


@inline
def _time(n: int, vectors: int, width: int) -> Any:
    """Time of a result of n rows, some vectors wide, with tiles of this width."""
    rest = vectors % width
    time = vectors // width * _up(n, HEIGHTS[width]) * _tile_time(width)
    return time + _up(n, HEIGHTS[rest]) * _tile_time(rest) if rest else time


@kernel
def _best_width(n: int, vectors: int) -> int:
    best = 1
    for width in range(2, min(vectors, len(HEIGHTS) - 1) + 1):
        if _time(n, vectors, width) <= _time(n, vectors, best):
            best = width
    return best


@cache
def best_width(n: int, m: int, itemsize: int) -> int:
    """Give the width of tiles, in vectors, that takes the least time, edges included."""
    lanes = REGISTER_BYTES // itemsize
    return int(_best_width(n, -(-m // lanes)))


@inline
def transpose(b: Any, first: int, row: int, rows: int, columns: int, out: Any, lanes: int) -> None:
    """Write ``b.T`` for a part of b into `out`, whose rows are a multiple of `lanes` long."""
    length = _up(rows, lanes) * lanes
    for i in range(0, rows, lanes):
        for k in range(0, columns, lanes):
            place = first + i * row + k
            n, m = min(lanes, rows - i), min(lanes, columns - k)
            turn(b, place, row, n, m, out, k * length + i, length)


@inline
def _copy(b: Any, first: int, row: int, rows: int, columns: int, out: Any, lanes: int) -> None:
    """Copy a part of b into `out`, whose rows are a multiple of `lanes` long."""
    length = _up(columns, lanes) * lanes
    for k in range(rows):
        for j in range(0, columns, lanes):
            move(b, first + k * row + j, min(lanes, columns - j), out, k * length + j)


@inline
def _before(edge: int, time: int, tiles: int) -> Any:
    """How many of a panel's tiles begin before some moment."""
    return min(max(_up(edge, time), 0), tiles)


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
    lanes = REGISTER_BYTES // a.itemsize
    vectors = _up(m, lanes)
    total = _time(n, vectors, width)
    begin, end = share(total, team[SIZE], team[ME]), share(total, team[SIZE], team[ME] + 1)
    size = _up(min(depth, DEPTH), lanes) * lanes * width * lanes
    wide = m * a.itemsize >= WIDE_BYTES
    copied = b_transposed or PADDED or (NARROW and wide and n >= WORTH_COPYING)
    part = np.empty(size if copied else 0, a.dtype)
    for j in range(0, vectors, width):
        now = min(width, vectors - j)
        height = HEIGHTS[now]
        tiles = _up(n, height)
        time = _tile_time(now)
        first, last = _before(begin, time, tiles), _before(end, time, tiles)
        begin, end = begin - tiles * time, end - tiles * time
        column = j * lanes
        columns = min(now * lanes, m - column)
        for k in range(0, depth if first < last else 0, DEPTH):
            deep = min(DEPTH, depth - k)
            panel, panel_at, panel_row = b, k * b_row + column, b_row
            if copied:
                panel, panel_at, panel_row = part, 0, _up(columns, lanes) * lanes
            if b_transposed:
                transpose(b, column * b_row + k, b_row, columns, deep, part, lanes)
            elif copied:
                _copy(b, k * b_row + column, b_row, deep, columns, part, lanes)
            for i in range(first * height, min(last * height, n), height):
                tile(
                    now,
                    a,
                    i * a_row + k * a_column,
                    a_row,
                    a_column,
                    panel,
                    panel_at,
                    panel_row,
                    out,
                    i * m + column,
                    m,
                    deep,
                    min(height, n - i),
                    columns - (now - 1) * lanes,
                    k > 0,
                )
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
    if not depth:
        out[:] = 0
        return
    a_row, a_column = (1, n) if a_transposed else (depth, 1)
    b_row = depth if b_transposed else m
    x, y, z = a.reshape(a.size), b.reshape(b.size), out.reshape(out.size)
    _multiply(x, a_row, a_column, y, b_row, b_transposed, z, n, depth, m, width, team)
