"""Gathering a shuffled mini-batch."""

from __future__ import annotations

import numpy as np

from nnkit.backends.contract import STEP, Array, Out


def gather(source: Array, order: Array, counters: Array, batch_size: int, out: Out) -> None:
    start = int(counters[STEP]) * batch_size
    rows = source[order[start : start + len(out)]]
    if source.dtype == np.uint8 and out.dtype != np.uint8:
        np.multiply(rows, out.dtype.type(1 / 255), out=out)
    else:
        out[...] = rows
