"""What happens to all gradients between the backward pass and the update, on flat buffers."""

from __future__ import annotations

import numpy as np

from nnkit.backends.contract import Array, Out


def accumulate(g: Array, total: Out, weight: float, start: bool) -> None:
    if start:
        np.multiply(g, weight, out=total)
    else:
        total += weight * g


def sum_of_squares(x: Array, total: Out, start: bool) -> None:
    square = np.square(x, dtype=np.float64).sum()
    total[0] = square if start else total[0] + square


def clip(x: Out, total: Array, limit: float) -> None:
    factor = limit / (np.sqrt(total[0]) + 1e-6)
    if factor < 1:
        x *= x.dtype.type(factor)
