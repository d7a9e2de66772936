"""Maxout: the largest of the matrices that lie side by side in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnkit.backends.contract import Array, Out
from nnkit.backends.cupy.launches import flat

if TYPE_CHECKING:
    from nnkit.backends.cupy.backend import CupyBackend


def maxout(backend: CupyBackend, z: Array, bias: Array, y: Out, piece: Out) -> None:
    sizes = np.int32(z.shape[1] // y.shape[1]), np.int64(y.shape[1])
    flat(backend.launcher, "activations", "maxout", y, z, bias, y, piece, *sizes)


def maxout_backward(backend: CupyBackend, dy: Array, piece: Array, dz: Out) -> None:
    sizes = np.int32(dz.shape[1] // dy.shape[1]), np.int64(dy.shape[1])
    flat(backend.launcher, "activations", "maxout_backward", dy, dy, piece, dz, *sizes)
