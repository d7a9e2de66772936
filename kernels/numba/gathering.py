"""Gathered products, and images with a border of zeros: what all of a convolution needs."""

from typing import Any

import numpy as np

from nnkit.kernels.numba.codegen.jit import inline
from nnkit.kernels.numba.codegen.processor import REGISTER_BYTES
from nnkit.kernels.numba.codegen.tile import (
    CHOOSING_ROWS,
    PADDED,
    choosing_tile,
    gathered_tile,
    tile,
)
from nnkit.kernels.numba.geometry import FIRST, HEIGHT, IMAGE, PADDED_HEIGHT, PADDED_ROW, ROW
from nnkit.kernels.numba.geometry import PADDED as PADDED_SIZE
from nnkit.kernels.numba.products import DEPTH, HEIGHTS

CHOOSING_HEIGHTS = (0, *CHOOSING_ROWS.values())
"""Rows of a tile, by its width in vectors."""


@inline
def multiply(
    a: Any,
    a_at: int,
    rows: Any,
    rows_at: int,
    columns: Any,
    columns_at: int,
    depth: int,
    b: Any,
    b_at: int,
    b_row: int,
    c: Any,
    c_at: int,
    places: Any,
    places_at: int,
    count: int,
    m: int,
    width: int,
    add: bool,
) -> None:
    """Give `count` rows of m numbers of a gathered product; arguments as of `gathered_tile`."""
    lanes = REGISTER_BYTES // a.itemsize
    vectors = (m + lanes - 1) // lanes
    for k in range(0, depth, DEPTH):
        for j in range(0, vectors, width):
            now = min(width, vectors - j)
            column = j * lanes
            for i in range(0, count, HEIGHTS[now]):
                gathered_tile(
                    now,
                    a,
                    a_at,
                    rows,
                    rows_at + i,
                    columns,
                    columns_at + k,
                    b,
                    b_at + k * b_row + column,
                    b_row,
                    c,
                    c_at + column,
                    places,
                    places_at + i,
                    min(DEPTH, depth - k),
                    min(HEIGHTS[now], count - i),
                    min(now * lanes, m - column) - (now - 1) * lanes,
                    add or k > 0,
                )


@inline
def add_chosen(
    a: Any,
    a_at: int,
    rows: Any,
    columns: Any,
    depth: int,
    b: Any,
    b_at: int,
    b_row: int,
    apart: int,
    c: Any,
    c_at: int,
    places: Any,
    m: int,
) -> None:
    """Add a choosing product, a row of m numbers for each of `rows`; see `choosing_tile`."""
    lanes = REGISTER_BYTES // a.itemsize
    vectors = (m + lanes - 1) // lanes
    most = len(CHOOSING_HEIGHTS) - 1
    for k in range(0, depth, DEPTH):
        deep = min(DEPTH, depth - k)
        for j in range(0, vectors, most):
            now = min(most, vectors - j)
            column = j * lanes
            last = min(now * lanes, m - column) - (now - 1) * lanes
            for i in range(0, rows.size, CHOOSING_HEIGHTS[now]):
                count = min(CHOOSING_HEIGHTS[now], rows.size - i)
                choosing_tile(
                    *(now, a, a_at, rows, i, columns, k, b, b_at + k * b_row + column, b_row),
                    *(c, c_at + column, places, i, deep, count, last, True, apart),
                )


@inline
def multiply_rows(
    a: Any,
    a_at: int,
    a_row: int,
    a_column: int,
    count: int,
    depth: int,
    b: Any,
    b_at: int,
    b_row: int,
    c: Any,
    c_at: int,
    m: int,
    width: int,
    add: bool,
) -> None:
    """``c = a @ b``, or ``c += a @ b``, for `count` rows, those of c of m numbers; see `tile`."""
    lanes = REGISTER_BYTES // a.itemsize
    vectors = (m + lanes - 1) // lanes
    for k in range(0, depth, DEPTH):
        for j in range(0, vectors, width):
            now = min(width, vectors - j)
            column = j * lanes
            last = min(now * lanes, m - column) - (now - 1) * lanes
            deep, more = min(DEPTH, depth - k), add | (k > 0)
            for i in range(0, count, HEIGHTS[now]):
                tile(
                    *(now, a, a_at + i * a_row + k * a_column, a_row, a_column),
                    *(b, b_at + k * b_row + column, b_row),
                    *(c, c_at + i * m + column, m),
                    *(deep, min(HEIGHTS[now], count - i), last, more),
                )


@inline
def copy(x: Any, out: Any) -> None:
    """``out = x`` for flat arrays, of any types."""
    for i in range(out.size):
        out[i] = x[i]


@inline
def clear(out: Any) -> None:
    """``out = 0`` for flat arrays: Numba's own assignment compiles slowly."""
    for i in range(out.size):
        out[i] = 0


@inline
def _inner(numbers: Any) -> Any:
    """Rows of an image that a padded one has, and how many numbers of each."""
    height = min(numbers[HEIGHT], numbers[PADDED_HEIGHT] - numbers[FIRST] // numbers[PADDED_ROW])
    left = numbers[FIRST] % numbers[PADDED_ROW]
    return height, min(numbers[ROW], numbers[PADDED_ROW] - left)


@inline
def pad(x: Any, numbers: Any, first: int, count: int, out: Any) -> None:
    """Copy images into padded ones, whose borders are zeros already."""
    height, row = _inner(numbers)
    for i in range(count):
        source, target = (first + i) * numbers[IMAGE], i * numbers[PADDED_SIZE] + numbers[FIRST]
        for _ in range(height):
            copy(x[source : source + row], out[target : target + row])
            source, target = source + numbers[ROW], target + numbers[PADDED_ROW]


@inline
def bordered(x: Any, numbers: Any, first: int, count: int, padded: Any) -> Any:
    """Where images are with the border that they are to have, and where the first of them begins.

    They are copied into padded ones, if there are any.
    """
    if padded.size == 0:
        return x, first * numbers[IMAGE]
    pad(x, numbers, first, count, padded)
    return padded, 0


@inline
def unpad(x: Any, numbers: Any, first: int, count: int, out: Any) -> None:
    """Copy padded images, without their borders, to where images are; what they lack is zero."""
    height, row = _inner(numbers)
    clear(out[first * numbers[IMAGE] : (first + count) * numbers[IMAGE]])
    for i in range(count):
        source, target = i * numbers[PADDED_SIZE] + numbers[FIRST], (first + i) * numbers[IMAGE]
        for _ in range(height):
            copy(x[source : source + row], out[target : target + row])
            source, target = source + numbers[PADDED_ROW], target + numbers[ROW]


@inline
def readable(b: Any) -> Any:
    """The same numbers where vectors may be read beyond the last, if they are read whole."""
    if not PADDED:
        return b
    out = np.zeros(b.size + REGISTER_BYTES // b.itemsize, b.dtype)
    copy(b, out[: b.size])
    return out
