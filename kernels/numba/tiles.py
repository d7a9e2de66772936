"""Tiles of flat arrays, which stay in the first-level cache from one use to the next."""

from typing import Any

from nnkit.kernels.numba.codegen.jit import inline


@inline
def same(a: Any, b: Any) -> bool:
    """Whether two arrays begin at the same place."""
    return a.ctypes.data == b.ctypes.data  # type: ignore[no-any-return]


@inline
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


@inline
def tile_width(size: int, m: int) -> int:
    """Elements in a tile: rows of `m`, a power of two of them, enough for a long vector loop."""
    rows = 1
    while rows * m < min(size, 1024):
        rows *= 2
    return max(1, rows * m)


@inline
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


@inline
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
