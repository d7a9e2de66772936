"""ReLU with a learned slope."""

from __future__ import annotations

import numpy as np

from nnkit.backends.contract import Array, Out


def prelu(x: Array, slope: Array, y: Out) -> None:
    y[...] = np.where(x > 0, x, slope * x)


def prelu_backward(dy: Array, x: Array, slope: Array, dx: Out, dslope: Out) -> None:
    products = dy * np.minimum(x, 0)
    dslope[...] = products.sum(axis=0) if slope.shape == x.shape[1:] else products.sum()
    dx[...] = np.where(x > 0, dy, slope * dy)
