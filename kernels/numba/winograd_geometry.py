"""The tables of a convolution by minimal filtering: where its tiles of 2x2 outputs are."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np

from nnkit.kernels.numba.geometry import PADDED, PADDED_ROW, SHAPES, Shape, Table, tables

SIDE = 2
"""Rows and columns of outputs that a tile gives."""
ELEMENTS = (SIDE + 2) ** 2
"""Numbers of a tile, and products that are summed over channels."""
CHANNELS = 16
"""Channels and outputs are multiples of it: whole vectors on every processor."""
LENGTHS = range(64, 257)
NUMBERS = 1 << 12
"""Tiles that are transformed at a time, and numbers of one element of them: what the second-level
cache holds, and products long enough."""
WORTH = 1.5
"""How many times fewer multiplications there are where it is used."""


class Tiles(NamedTuple):
    """The tables of a convolution by minimal filtering."""

    numbers: Table
    """As of `geometry.Tables`; in the padded image every tile has all its pixels."""
    places: Table
    """(tiles, 4): where in a group of images a tile's pixels begin, where its outputs do, and how
    far apart these are, down and right: 0 where there is one only."""
    length: int
    """Tiles that are transformed at a time."""
    together: int
    """Images of a group."""


def is_possible(shape: Shape) -> bool:
    """Whether a convolution can be had by minimal filtering, and that is worth it."""
    return (
        (shape.size, shape.stride, shape.dilation) == ((3, 3), (1, 1), (1, 1))
        and shape.groups == 1
        and shape.channels % CHANNELS == shape.outputs % CHANNELS == 0
        and (shape.pool, shape.pool_stride) in {((1, 1), (1, 1)), ((SIDE, SIDE), (SIDE, SIDE))}
        and 9 * prod(shape.places) >= WORTH * ELEMENTS * prod(map(_tiles, shape.places))
    )


def _tiles(places: int) -> int:
    return -(-places // SIDE)


@lru_cache(maxsize=SHAPES)
def tiles(shape: Shape) -> Tiles:
    """Make the tables of a convolution for which it is possible."""
    down, right = map(_tiles, shape.places)
    whole = shape._replace(places=(SIDE * down, SIDE * right), pool=(1, 1), pool_stride=(1, 1))
    numbers = tables(whole).numbers
    pooled = shape.pool != (1, 1)
    height, width = (down, right) if pooled else shape.places
    step = 1 if pooled else SIDE
    length = min(max(NUMBERS // max(shape.channels, shape.outputs), LENGTHS[0]), LENGTHS[-1])
    together = max(1, length // (down * right))
    image, i, j = (n.reshape(-1) for n in np.indices((together, down, right)))
    columns, row = numbers[PADDED_ROW], width * shape.outputs
    places = np.stack(
        [
            image * numbers[PADDED] + SIDE * (i * columns + j * shape.channels),
            (image * height + step * i) * row + step * j * shape.outputs,
            np.where(step * i + 1 < height, row, 0),
            np.where(step * j + 1 < width, shape.outputs, 0),
        ],
        axis=1,
    )
    return Tiles(numbers, np.ascontiguousarray(places), length, together)
