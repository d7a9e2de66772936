"""The tables of a convolution: where each number is that a gathered product multiplies.

They are made once for each geometry, with NumPy, and hold distances between elements of flat
arrays. What is said of one image holds for all that lie behind it, in groups of some images.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

Pair = tuple[int, int]
Table = np.ndarray[Any, np.dtype[np.int64]]

DEEP = 512
"""Places of a group of images: the depth of a product that gives the weights' gradient."""
SHAPES = 256
"""Geometries whose tables are kept."""
BLOCK = 4096
"""Numbers of the output that are computed before anything is done with them: they stay in the
first-level cache."""


class Shape(NamedTuple):
    """What determines the tables."""

    image: Pair
    channels: int
    outputs: int
    groups: int
    places: Pair
    """Rows and columns of the convolution's output that are computed."""
    size: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    pool: Pair
    """Size of the windows of which the largest is wanted; (1, 1): the output itself."""
    pool_stride: Pair


class Tables(NamedTuple):
    """The tables of a convolution and its gradients."""

    numbers: Table
    """See the names below."""
    positions: Table
    """For each place of a group of images, where in them its window begins. With pooling, blocks of
    windows follow each other, and in a block all first elements of the windows, then all second
    ones, and so on."""
    taps: Table
    """For each row of the weights' matrix, how far behind that its number is."""
    lines: Table
    """Where the rows of the output begin, and those of the weights' matrix."""
    strips: Table
    """For each strip of a window, how far behind its first number it begins."""
    firsts: Table
    """For each pooling window of a group of images, where its first element's window begins."""


(
    HEIGHT,
    ROW,
    IMAGE,
    PADDED_HEIGHT,
    PADDED_ROW,
    PADDED,
    FIRST,
    COPIED,
    WINDOWS,
    ELEMENTS,
    BLOCK_WINDOWS,
    TOGETHER,
    CHANNELS,
    OUTPUTS,
    GROUPS,
    WINDOW,
    STRIP,
    STEP,
    DOWN,
    RIGHT,
) = range(20)
"""`Tables.numbers`: an image's rows and the length of one; its size; rows of a padded image,
the length of one and its size; where in it the first pixel is; whether it is another than the image
itself; pooling windows of an image, elements of a window, windows of a block; images of a group;
channels, outputs, groups of channels; numbers of a window in one group of channels, and of each of
its strips, which lie together in an image; the distance of places whose windows share no pixel; how
far apart the windows of a place and of those below and beside it are, if 2x2 are pooled, else 0."""


def _all(*axes: Any) -> Table:
    """All sums of numbers of some axes, the last axis fastest."""
    total: Any = np.zeros((), np.int64)
    for axis in axes:
        total = total[..., None] + np.atleast_1d(np.asarray(axis, np.int64))
    return np.ascontiguousarray(total.reshape(-1))


def _windows(shape: Shape) -> Pair:
    """Rows and columns of pooling windows."""
    rows, columns = ((shape.places[i] - shape.pool[i]) // shape.pool_stride[i] + 1 for i in (0, 1))
    return rows, columns


def _order(shape: Shape, block: int) -> tuple[Table, Table]:
    """Rows and columns of the places of an image, in the order in which they are computed."""
    down, right = map(np.arange, _windows(shape))
    rows = _all(down * shape.pool_stride[0], 0 * right)
    columns = _all(0 * down, right * shape.pool_stride[1])
    p = _all(np.arange(shape.pool[0]), np.zeros(shape.pool[1]))
    q = _all(np.zeros(shape.pool[0]), np.arange(shape.pool[1]))
    parts = [slice(i, i + block) for i in range(0, len(rows), block)]
    if shape.pool == (1, 1):
        return rows, columns
    return (
        np.concatenate([_all(p, rows[part]) for part in parts]),
        np.concatenate([_all(q, columns[part]) for part in parts]),
    )


@lru_cache(maxsize=SHAPES)
def tables(shape: Shape) -> Tables:
    """Make the tables of a convolution."""
    (height, width), c, o = shape.image, shape.channels, shape.outputs
    elements = shape.pool[0] * shape.pool[1]
    windows = prod(_windows(shape))
    block = max(8, BLOCK // (elements * o)) if elements == 1 else _even(windows, elements * o)
    padded = [
        max((n - 1) * s + (k - 1) * d + 1, p + 1)
        for n, s, k, d, p in zip(
            shape.places, shape.stride, shape.size, shape.dilation, shape.padding, strict=True
        )
    ]
    copied = shape.padding != (0, 0) or padded[0] > height or padded[1] > width
    rows, columns = (padded[0], padded[1]) if copied else (height, width)
    size = rows * columns * c
    together = max(1, DEEP // (windows * elements))
    i, j = _order(shape, block)
    place = (i * shape.stride[0] * columns + j * shape.stride[1]) * c
    depth = shape.size[0] * shape.size[1] * (c // shape.groups)
    numbers = [height, width * c, height * width * c, rows, columns * c, size]
    numbers += [(shape.padding[0] * columns + shape.padding[1]) * c, copied, windows, elements]
    whole = shape.groups == 1 and shape.dilation[1] == 1
    strip = shape.size[1] * c if whole else c // shape.groups
    reach = (shape.size[1] - 1) * shape.dilation[1] // shape.stride[1] + 1
    numbers += [block, together, c, o, shape.groups, depth, strip, reach]
    down, right = shape.stride[0] * columns * c, shape.stride[1] * c
    numbers += [down, right] if shape.pool == (2, 2) else [0, 0]
    first = [
        np.arange(n) * step for n, step in zip(_windows(shape), shape.pool_stride, strict=True)
    ]
    return Tables(
        np.array(numbers, np.int64),
        _all(np.arange(together) * size, place),
        _all(
            np.arange(shape.size[0]) * shape.dilation[0] * columns * c,
            np.arange(shape.size[1]) * shape.dilation[1] * c,
            np.arange(c // shape.groups),
        ),
        np.arange(max(depth, block * elements), dtype=np.int64) * o,
        _all(
            np.arange(shape.size[0]) * shape.dilation[0] * columns * c,
            0 if whole else np.arange(shape.size[1]) * shape.dilation[1] * c,
        ),
        _all(np.arange(together) * size, first[0] * down, first[1] * right),
    )


def _even(windows: int, size: int) -> int:
    """Windows of a block, where there are as few blocks as may be, of like sizes."""
    blocks = max(1, -(-windows * size // (2 * BLOCK)))
    return -(-windows // blocks)
