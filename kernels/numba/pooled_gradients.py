"""Gradients through max-pooling, each of which one place of its window has."""

from typing import Any

from nnkit.kernels.numba.codegen.jit import inline
from nnkit.kernels.numba.codegen.processor import REGISTER_BYTES
from nnkit.kernels.numba.gathering import add_chosen, copy
from nnkit.kernels.numba.geometry import (
    BLOCK_WINDOWS,
    CHANNELS,
    DOWN,
    ELEMENTS,
    GROUPS,
    OUTPUTS,
    PADDED,
    RIGHT,
    WINDOWS,
)

DOUBLES = REGISTER_BYTES != 32
"""Whether choosing pays for float64, too: AVX2 has no instruction for it, and blends are slow."""


@inline
def _chosen(dy: Any, place: Any, number: Any, out: Any) -> None:
    for i in range(out.size):
        out[i] = dy[i] if place[i] == number else dy.dtype.type(0)


@inline
def spread_windows(d: Any, place: Any, count: int, numbers: Any, out: Any) -> None:
    """Have each gradient at its place among the elements of its window, the others zero."""
    elements, windows, block = numbers[ELEMENTS], numbers[WINDOWS], numbers[BLOCK_WINDOWS]
    outputs = numbers[OUTPUTS]
    if elements == 1:
        copy(d, out[: d.size])
        return
    at = target = 0
    for _ in range(count):
        for window in range(0, windows, block):
            size = min(block, windows - window) * outputs
            for e in range(elements):
                where = place[at : at + size]
                _chosen(d[at : at + size], where, place.dtype.type(e), out[target : target + size])
                target += size
            at += size


@inline
def choose(d: Any, place: Any, copied: bool, chosen: Any) -> None:
    """Have the places of gradients behind all of these, which are copied or there already."""
    if copied:
        copy(d, chosen[: d.size])
    copy(place, chosen[chosen.size // 2 :][: d.size])


@inline
def _quadruple(x: Any, right: int, down: int, out: Any) -> None:
    """Have for each number of a flat array itself, what is to the right, below, and beside that."""
    count = x.size - right - down
    a, b, c, d = x[:count], x[right:], x[down:], x[down + right :]
    for i in range(count):
        out[4 * i] = a[i]
        out[4 * i + 1] = b[i]
        out[4 * i + 2] = c[i]
        out[4 * i + 3] = d[i]


@inline
def add_pooled_weights(
    a: Any,
    a_at: int,
    count: int,
    numbers: Any,
    taps: Any,
    firsts: Any,
    lines: Any,
    chosen: Any,
    quads: Any,
    partial: Any,
) -> None:
    """Add the weights' gradient of some images whose outputs were pooled in windows of 2x2.

    Where a gradient is of one of four places, three of four products were with zero: instead each
    chooses the pixels that its place sees.
    """
    outputs, groups = numbers[OUTPUTS], numbers[GROUPS]
    channels, columns = numbers[CHANNELS] // groups, outputs // groups
    pixels = a[a_at : a_at + count * numbers[PADDED]]
    _quadruple(pixels, numbers[RIGHT], numbers[DOWN], quads)
    for group in range(groups):
        at, column = 4 * group * channels, group * columns
        add_chosen(
            *(quads, at, taps, firsts, count * numbers[WINDOWS]),
            *(chosen, column, outputs, chosen.size // 2, partial, column, lines, columns),
        )
