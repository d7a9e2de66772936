"""ReLU with a learned slope, and its gradients in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnkit.backends.contract import Array, Out
from nnkit.backends.cupy.launches import column_sums, flat

if TYPE_CHECKING:
    from nnkit.backends.cupy.backend import CupyBackend


def prelu(backend: CupyBackend, x: Array, slope: Array, y: Out) -> None:
    flat(backend.launcher, "activations", "prelu", y, x, slope, y, np.int64(slope.size))


def prelu_backward(
    backend: CupyBackend, dy: Array, x: Array, slope: Array, dx: Out, dslope: Out
) -> None:
    shape = dx.size // slope.size, slope.size
    column_sums(backend.launcher, "prelu_backward", (dy, x, slope, dx), shape, dslope)
