"""Losses that compare each output with a target of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnkit.backends.contract import Array, Out
from nnkit.backends.cupy.grids import blocks, packs
from nnkit.backends.cupy.launches import loss, real
from nnkit.kernels.cuda import THREADS
from nnkit.kernels.table import LOSSES

if TYPE_CHECKING:
    from nnkit.backends.cupy.backend import CupyBackend


def elementwise_loss(
    backend: CupyBackend,
    kind: str,
    y: Array,
    target: Array,
    dy: Out,
    log: Out,
    counters: Array,
    alpha: float,
    weights: Array | None,
) -> None:
    about, launcher = LOSSES[kind], backend.launcher
    count = dy.size if about.mean_over == "elements" else len(dy)
    right = np.int32(about.threshold is not None), real(dy, about.threshold or 0)
    sizes = np.int64(count), np.int64(dy.size)
    rows = weights, np.int64(y.shape[-1])
    args = np.int32(about.code), y, target, dy, *rows, real(dy, alpha), *right, *sizes
    grid = blocks(packs(dy.size, dy.dtype), launcher.most_blocks)
    loss(launcher, "losses", "elementwise_loss", dy, grid, THREADS, args, log, counters)
