"""Maxout: the largest of the matrices that lie side by side in one."""

from __future__ import annotations

import numpy as np

from nnkit.backends.contract import Array, Out


def maxout(z: Array, bias: Array, y: Out, piece: Out) -> None:
    n, m = y.shape
    pieces = (z + bias).reshape(n, z.shape[1] // m, m)
    np.max(pieces, axis=1, out=y)
    piece[...] = pieces.argmax(axis=1)


def maxout_backward(dy: Array, piece: Array, dz: Out) -> None:
    numbers = np.arange(dz.shape[1] // dy.shape[1])[:, None]
    dz[...] = np.where(piece[:, None] == numbers, dy[:, None], 0).reshape(dz.shape)
