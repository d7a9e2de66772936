"""The tables of a convolution: where each number is that a gathered product multiplies.

They are made once for each geometry, with NumPy, and hold distances between elements of flat
arrays. What is said of one image holds for all that lie behind it, in groups of some images.
"""

from __future__ import annotations

from functools import cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

Pair = tuple[int, int]
Table = np.ndarray[Any, np.dtype[np.int64]]

DEEP = 512
"""Places of a group of images: the depth of a product that gives the weights' gradient."""
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


class Forward(NamedTuple):
    """Tables of ``x * weight``."""

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
) = range(15)
"""Numbers of `Forward`: an image's rows and the length of one; its size; rows of a padded image,
the length of one and its size; where in it the first pixel is; whether it is another than the image
itself; pooling windows of an image, elements of a window, windows of a block; images of a group;
channels, outputs, groups of channels."""


class Backward(NamedTuple):
    """Tables of the input's gradient: a convolution of dy, padded, with the weights turned.

    Where the stride is above 1, pixels fall into phases, which other weights have a part in.
    """

    spots: Table
    """For each place, as in `Forward.positions`, where in the padded dy its numbers are."""
    spread: Table
    """Size of an image of the padded dy; whether it is another than dy itself; whether there are
    pixels that no window sees."""
    phases: Table
    """For each phase: its first entry in `pixels`, pixels of an image, first entry in `turned`, and
    number of entries there, for one group of channels."""
    pixels: Table
    """For each pixel of a phase, for a group of images, where in the padded dy it begins."""
    targets: Table
    """And where in dx."""
    turned: Table
    """For each row of the turned weights, how far behind that its number of dy is."""
    order: Table
    """Which element of a kernel each block of rows of the turned weights belongs to."""


def _all(*axes: Any) -> Table:
    """All sums of numbers of some axes, the last axis fastest."""
    total: Any = np.zeros((), np.int64)
    for axis in axes:
        total = total[..., None] + np.asarray(axis, np.int64)
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


@cache
def forward(shape: Shape) -> Forward:
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
    numbers += [block, together, c, o, shape.groups]
    return Forward(
        np.array(numbers, np.int64),
        _all(np.arange(together) * size, place),
        _all(
            np.arange(shape.size[0]) * shape.dilation[0] * columns * c,
            np.arange(shape.size[1]) * shape.dilation[1] * c,
            np.arange(c // shape.groups),
        ),
        np.arange(max(depth, block * elements), dtype=np.int64) * o,
    )


def _even(windows: int, size: int) -> int:
    """Windows of a block, where there are as few blocks as may be, of like sizes."""
    blocks = max(1, -(-windows * size // (2 * BLOCK)))
    return -(-windows // blocks)


@cache
def backward(shape: Shape) -> Backward:
    """Make the tables of its gradient by the input."""
    (height, width), c, o = shape.image, shape.channels, shape.outputs
    numbers = forward(shape).numbers
    images = np.arange(numbers[TOGETHER])
    down, right = _phases(shape, 0), _phases(shape, 1)
    above, below = _margins(down, shape.places[0])
    left, behind = _margins(right, shape.places[1])
    rows, columns = above + shape.places[0] + below, left + shape.places[1] + behind
    size = rows * columns * o
    phases: list[tuple[int, ...]] = []
    pixels: list[Table] = []
    targets: list[Table] = []
    turned: list[Table] = []
    order: list[Table] = []
    for i in down:
        for j in right:
            steps = _all(i.shifts * columns * o, j.shifts * o, np.arange(o // shape.groups))
            begin = sum(map(len, pixels)), len(i.pixels) * len(j.pixels), sum(map(len, turned))
            phases.append((*begin, len(steps)))
            there = (i.places + above) * columns * o, (j.places + left) * o
            pixels.append(_all(images * size, *there))
            target = i.pixels * width * c, j.pixels * c
            targets.append(_all(images * height * width * c, *target))
            turned.append(steps)
            order.append(_all(i.taps * shape.size[1], j.taps))
    unseen = any(depth == 0 for *_, depth in phases)
    spread = (rows, columns) != shape.places or shape.pool != (1, 1)
    row, column = _order(shape, int(numbers[BLOCK_WINDOWS]))
    return Backward(
        _all(images * size, ((row + above) * columns + column + left) * o),
        np.array([size, spread, unseen], np.int64),
        np.array(phases, np.int64),
        *map(np.concatenate, (pixels, targets, turned, order)),
    )


class Phase(NamedTuple):
    """Pixels of one axis that the same elements of a kernel have a part in."""

    pixels: Table
    places: Table
    """For each, the last place whose window begins there or before."""
    taps: Table
    """The elements."""
    shifts: Table
    """For each, how many places further its window is: none, or some back."""


def _phases(shape: Shape, axis: int) -> list[Phase]:
    stride, dilation = shape.stride[axis], shape.dilation[axis]
    pixels = np.arange(shape.image[axis], dtype=np.int64)
    taps = np.arange(shape.size[axis], dtype=np.int64)
    begin = pixels + shape.padding[axis]
    found = []
    for phase in range(stride):
        own, parts = begin % stride == phase, taps[taps * dilation % stride == phase]
        if own.any():
            shifts = -((parts * dilation - phase) // stride)
            found.append(Phase(pixels[own], begin[own] // stride, parts, shifts))
    return found


def _margins(phases: list[Phase], places: int) -> Pair:
    """How many places before the first and behind the last the pixels' windows reach."""
    seen = [phase for phase in phases if len(phase.taps)]
    low = min((int(phase.places.min() + phase.shifts.min()) for phase in seen), default=0)
    high = max((int(phase.places.max() + phase.shifts.max()) for phase in seen), default=0)
    return max(0, -low), max(0, high - places + 1)
