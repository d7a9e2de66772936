"""Dropout, whose mask is a function of the key, the counters and the place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnkit.backends.contract import Array, Out
from nnkit.backends.cupy.launches import flat, real

if TYPE_CHECKING:
    from nnkit.backends.cupy.backend import CupyBackend


def dropout(
    backend: CupyBackend, x: Array, p: float, key: int, counters: Array, out: Out, first: int
) -> None:
    keys = np.uint32(key & 0xFFFFFFFF), np.uint32(key >> 32)
    args = x, np.float32(p), real(out, 1 / (1 - p)), *keys, counters, np.int64(first), out
    flat(backend.launcher, "dropout", "dropout", out, *args)


def channel_dropout(
    backend: CupyBackend, x: Array, p: float, key: int, counters: Array, out: Out, first: int
) -> None:
    keys = np.uint32(key & 0xFFFFFFFF), np.uint32(key >> 32)
    sizes = np.int64(first), np.int64(x.shape[1]), np.int64(x.shape[2])
    args = x, np.float32(p), real(out, 1 / (1 - p)), *keys, counters, *sizes, out
    flat(backend.launcher, "dropout", "channel_dropout", out, *args)
