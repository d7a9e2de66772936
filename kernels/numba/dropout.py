"""Dropout with masks from Philox."""

import math
from typing import Any

import numpy as np

from nnkit.kernels.numba.codegen.jit import inline, shared
from nnkit.kernels.numba.counters import FORWARDS
from nnkit.kernels.numba.philox import draw
from nnkit.kernels.numba.runtime.team import my_range
from nnkit.kernels.numba.tiles import apart, repeat_row, same, tile_width

u32 = np.uint32

GRAIN = 1 << 14
"""Elements worth a thread."""
BLOCK = 1024
"""Elements whose random words are drawn together: a multiple of 4."""


@inline
def _mask(x: Any, words: Any, least: Any, scale: Any, out: Any) -> None:
    for i in range(out.size):
        kept = x[i] * scale
        out[i] = kept if words[i] >> u32(8) >= least else out.dtype.type(0)


@inline
def _least_kept(p: float) -> Any:
    """A word's upper 24 bits make a number u = k / 2**24, and u >= p if k is at least this."""
    return u32(math.ceil(np.float32(p) * 2.0**24))


@shared(GRAIN)
def dropout(
    x: Any, p: float, key0: int, key1: int, counters: Any, out: Any, before: int, team: Any
) -> None:
    """Zero with probability `p`, or scale, each element of flat x; the key in two words.

    Element i has random number ``before + i``. Blocks of them begin where a counter does: the first
    one may begin with some that are in front of x.
    """
    least = _least_kept(p)
    scale = out.dtype.type(1 / (1 - p))
    stream = counters[FORWARDS]
    skip, counter = before % 4, before // 4
    blocks = -(-(skip + out.size) // BLOCK)
    words = np.empty(BLOCK, u32)
    scratch = np.empty(BLOCK if same(x, out) else 0, out.dtype)
    first, last = my_range(blocks, team)
    for b in range(first, last):
        start = b * BLOCK - skip
        i, j = max(start, 0), min(start + BLOCK, out.size)
        draw(counter + b * (BLOCK // 4), stream, key0, key1, words[: (j - start + 3) // 4 * 4])
        _mask(apart(x[i:j], scratch), words[i - start :], least, scale, out[i:j])


@inline
def _image(x: Any, words: Any, least: Any, scale: Any, out: Any) -> None:
    """Drop channels of one image (pixels, channels), with a word for each."""
    x, out = x.reshape(out.size), out.reshape(out.size)
    tile = np.empty(tile_width(out.size, words.size), u32)
    scratch = np.empty(tile.size if same(x, out) else 0, out.dtype)
    repeat_row(words, tile)
    for i in range(0, out.size, tile.size):
        j = min(i + tile.size, out.size)
        _mask(apart(x[i:j], scratch), tile, least, scale, out[i:j])


@shared(GRAIN)
def channel_dropout(
    x: Any, p: float, key0: int, key1: int, counters: Any, out: Any, before: int, team: Any
) -> None:
    """Do as `dropout` with the channels of images x (n, pixels, channels), behind others."""
    least, scale = _least_kept(p), out.dtype.type(1 / (1 - p))
    channels = x.shape[2]
    words = np.empty((channels + 6) // 4 * 4, u32)
    first, last = my_range(len(x), team)
    for i in range(first, last):
        number = (before + i) * channels
        start = number // 4
        draw(start, counters[FORWARDS], key0, key1, words)
        place = number - 4 * start
        _image(x[i], words[place : place + channels], least, scale, out[i])
