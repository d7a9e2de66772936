"""Gathering a shuffled mini-batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnkit.backends.contract import Array, Out
from nnkit.backends.cupy.grids import ACCESS_BYTES, packs, power_of_two
from nnkit.kernels.cuda import THREADS

if TYPE_CHECKING:
    from nnkit.backends.cupy.backend import CupyBackend


def gather(
    backend: CupyBackend, source: Array, order: Array, counters: Array, batch_size: int, out: Out
) -> None:
    if not out.size:
        return
    rows = len(out)
    if source.dtype == out.dtype:
        name, dtype, length = "gather_copy", np.dtype(np.float32), out.nbytes // rows
        units = -(-length // ACCESS_BYTES)
    elif source.dtype == np.uint8:
        name, dtype, length = "gather_scaled", out.dtype, out.size // rows
        units = packs(length, dtype)
    else:
        raise TypeError(f"gather cannot make {out.dtype} of {source.dtype}, only of uint8")
    width = min(THREADS, power_of_two(units))
    height = THREADS // width
    grid = (min(-(-rows // height), backend.launcher.most_blocks),)
    sizes = np.int64(len(source)), np.int64(len(order))
    batch = source, sizes[0], order, sizes[1], counters, np.int64(batch_size)
    args = *batch, out, np.int64(rows), np.int64(length)
    backend.launcher.launch("gather", name, dtype, grid, (width, height), args)
