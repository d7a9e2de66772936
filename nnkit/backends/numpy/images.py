"""The axes of images."""

from __future__ import annotations

import numpy as np

from nnkit.backends.contract import Array, Out


def transpose(x: Array, out: Out) -> None:
    out[...] = np.swapaxes(x, 1, 2)
