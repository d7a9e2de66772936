"""Pictures changed at random: flipped, turned, scaled, moved, and a square of them cut out."""

import math
from typing import Any

import numpy as np

from nnkit.kernels.numba.codegen.jit import inline, shared
from nnkit.kernels.numba.counters import FORWARDS
from nnkit.kernels.numba.philox import draw
from nnkit.kernels.numba.runtime.team import my_range

u32 = np.uint32

GRAIN = 1 << 13
"""Numbers worth a thread."""


@inline
def _part(word: Any) -> float:
    """Return a random word as a number in [0, 1), of its upper 24 bits."""
    return (word >> u32(8)) * 2.0**-24  # type: ignore[no-any-return]


@inline
def _copy(x: Any, down: int, right: int, flipped: bool, out: Any) -> None:
    """Copy a picture that is flipped, then moved by whole pixels."""
    height, width, channels = x.shape
    first, last = max(0, right), min(width, width + right)
    for row in range(height):
        if not 0 <= row - down < height:
            out[row] = 0
            continue
        out[row, : min(first, width)] = 0
        out[row, max(last, 0) :] = 0
        for column in range(first, last):
            source = width - 1 - (column - right) if flipped else column - right
            for k in range(channels):
                out[row, column, k] = x[row - down, source, k]


@inline
def _pixel(x: Any, row: int, column: int, k: int) -> Any:
    """Return a pixel's number of channel k; outside of the picture 0."""
    if 0 <= row < x.shape[0] and 0 <= column < x.shape[1]:
        return x[row, column, k]
    return x.dtype.type(0)


@inline
def _map(
    x: Any, down: int, right: int, flipped: bool, along: float, across: float, out: Any
) -> None:
    """Fill a picture that is flipped, turned, scaled and moved, by what is between pixels."""
    height, width, channels = x.shape
    middle, centre = (height - 1) / 2, (width - 1) / 2
    one = x.dtype.type(1)
    for i in range(height):
        for j in range(width):
            row, column = i - down - middle, j - right - centre
            row, column = (
                middle + (along * row + across * column),
                centre + (along * column - across * row),
            )
            if flipped:
                column = width - 1 - column
            above, left = math.floor(row), math.floor(column)
            lower, righter = x.dtype.type(row - above), x.dtype.type(column - left)
            for k in range(channels):
                first = (one - righter) * _pixel(x, above, left, k)
                first += righter * _pixel(x, above, left + 1, k)
                second = (one - righter) * _pixel(x, above + 1, left, k)
                second += righter * _pixel(x, above + 1, left + 1, k)
                out[i, j, k] = (one - lower) * first + lower * second


@shared(GRAIN)
def augment(
    x: Any,
    shift: int,
    flip: float,
    turn: float,
    scale: float,
    cutout: int,
    key0: int,
    key1: int,
    counters: Any,
    out: Any,
    before: int,
    team: Any,
) -> None:
    """Change pictures (n, height, width, channels), each by numbers of its own.

    They are those of a batch behind `before` others.
    """
    n, height, width, _ = x.shape
    words = np.empty(8, u32)
    first, last = my_range(n, team)
    for i in range(first, last):
        draw(2 * (before + i), counters[FORWARDS], key0, key1, words)
        down = math.floor((2 * shift + 1) * _part(words[0])) - shift
        right = math.floor((2 * shift + 1) * _part(words[1])) - shift
        flipped = _part(words[4]) < flip
        if turn == 0 and scale == 0:
            _copy(x[i], down, right, flipped, out[i])
        else:
            angle = math.pi * turn * (2 * _part(words[5]) - 1)
            size = 1 + scale * (2 * _part(words[6]) - 1)
            along, across = math.cos(angle) / size, math.sin(angle) / size
            _map(x[i], down, right, flipped, along, across, out[i])
        top = math.floor(height * _part(words[2])) - cutout // 2
        left = math.floor(width * _part(words[3])) - cutout // 2
        out[i, max(0, top) : max(0, top + cutout), max(0, left) : max(0, left + cutout)] = 0
