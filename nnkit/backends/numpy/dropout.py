"""Dropout with masks from Philox."""

from __future__ import annotations

import numpy as np

from nnkit.backends.contract import FORWARDS, Array, Out
from nnkit.backends.numpy.philox import uniform


def dropout(x: Array, p: float, key: int, counters: Array, out: Out, first: int) -> None:
    keep = uniform(x.size, key, int(counters[FORWARDS]), first).reshape(x.shape) >= np.float32(p)
    np.multiply(x, x.dtype.type(1 / (1 - p)), out=out)
    out[~keep] = 0


def channel_dropout(x: Array, p: float, key: int, counters: Array, out: Out, first: int) -> None:
    n, _, channels = x.shape
    u = uniform(n * channels, key, int(counters[FORWARDS]), first * channels)
    keep = u.reshape(n, 1, channels) >= np.float32(p)
    scaled = x * x.dtype.type(1 / (1 - p))
    out[...] = np.where(keep, scaled, 0)
