"""What happens to all gradients between the backward pass and the update, on flat buffers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnkit.backends.contract import Array, Out
from nnkit.backends.cupy.grids import blocks, packs
from nnkit.backends.cupy.launches import flat, real
from nnkit.kernels.cuda import THREADS

if TYPE_CHECKING:
    from nnkit.backends.cupy.backend import CupyBackend


def accumulate(backend: CupyBackend, g: Array, total: Out, weight: float, start: bool) -> None:
    args = g, total, real(g, weight), np.int32(start)
    flat(backend.launcher, "gradients", "accumulate", total, *args)


def sum_of_squares(backend: CupyBackend, x: Array, total: Out, start: bool) -> None:
    launcher = backend.launcher
    grid = blocks(packs(x.size, x.dtype), launcher.most_blocks)
    scratch = launcher.scratch(grid, np.float64), launcher.scratch(1, np.uint32)
    args = x, total, np.int32(start), *scratch, np.int64(x.size)
    launcher.launch("gradients", "sum_of_squares", x.dtype, (grid,), (THREADS,), args)


def clip(backend: CupyBackend, x: Out, total: Array, limit: float) -> None:
    flat(backend.launcher, "gradients", "clip", x, x, total, np.float64(limit))
