"""Pictures changed at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnkit.backends.contract import Array, Changes, Out
from nnkit.backends.cupy.grids import blocks, packs
from nnkit.kernels.cuda import THREADS

if TYPE_CHECKING:
    from nnkit.backends.cupy.backend import CupyBackend


def augment(
    backend: CupyBackend,
    x: Array,
    changes: Changes,
    key: int,
    counters: Array,
    out: Out,
    first: int,
) -> None:
    if not out.size:
        return
    most = backend.launcher.most_blocks
    across = blocks(packs(out.size // len(out), out.dtype), most)
    grid = across, max(1, min(len(out), most // across))
    keys = np.uint32(key & 0xFFFFFFFF), np.uint32(key >> 32)
    reals = map(np.float64, (changes.flip, changes.turn, changes.scale))
    numbers = np.int32(changes.shift), *reals, np.int32(changes.cutout)
    shape = map(np.int32, (*out.shape, 1)[1:4])
    args = x, *numbers, *keys, counters, np.int64(first), out, np.int64(len(out)), *shape
    backend.launcher.launch("augment", "augment", out.dtype, grid, (THREADS,), args)
