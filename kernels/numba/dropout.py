"""Dropout with masks from Philox."""

import math
from typing import Any

import numpy as np

from nnkit.kernels.numba.codegen.jit import inline, shared
from nnkit.kernels.numba.counters import FORWARDS
from nnkit.kernels.numba.philox import draw
from nnkit.kernels.numba.runtime.team import my_range
from nnkit.kernels.numba.tiles import apart, same

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


@shared(GRAIN)
def dropout(x: Any, p: float, key0: int, key1: int, counters: Any, out: Any, team: Any) -> None:
    """Zero with probability `p`, or scale, each element of flat x; the key in two words."""
    # A word's upper 24 bits make a number u = k / 2**24, and u >= p if k is at least this.
    least = u32(math.ceil(np.float32(p) * 2.0**24))
    scale = out.dtype.type(1 / (1 - p))
    stream = counters[FORWARDS]
    blocks = -(-out.size // BLOCK)
    words = np.empty(BLOCK, u32)
    scratch = np.empty(BLOCK if same(x, out) else 0, out.dtype)
    first, last = my_range(blocks, team)
    for b in range(first, last):
        i, j = b * BLOCK, min((b + 1) * BLOCK, out.size)
        draw(b * (BLOCK // 4), stream, key0, key1, words[: (j - i + 3) // 4 * 4])
        _mask(apart(x[i:j], scratch), words, least, scale, out[i:j])
