"""The axes of images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnkit.backends.contract import Array, Out
from nnkit.kernels.cuda import THREADS

if TYPE_CHECKING:
    from nnkit.backends.cupy.backend import CupyBackend

SIDE = 32
"""Of a tile, which a block turns: SIDE of images.cu."""


def transpose(backend: CupyBackend, x: Array, out: Out) -> None:
    if out.size:
        n, a, b = x.shape
        grid = (min(n * -(-a // SIDE) * -(-b // SIDE), backend.launcher.most_blocks),)
        args = x, out, np.int64(n), np.int64(a), np.int64(b)
        backend.launcher.launch("images", "transpose", x.dtype, grid, (THREADS,), args)
