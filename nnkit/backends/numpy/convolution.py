"""Convolutions, as products of matrices.

Every place of the output sees a window of the image. With the windows as rows of a matrix, a
convolution is one product (im2col; Chellapilla et al. 2006).
"""

from __future__ import annotations

import numpy as np

from nnkit.backends.contract import Array, Out, Window
from nnkit.backends.numpy.pooling import max_pool, max_pool_backward
from nnkit.backends.numpy.windows import taps


def columns(x: Array, window: Window, places: tuple[int, ...]) -> Array:
    """Each window of images (n, h, w, c) as a row: (n, oh, ow, kh, kw, c)."""
    n, c = len(x), x.shape[3]
    rows = np.zeros((n, *places, *window.size, c), x.dtype)
    for (p, q), there, seen in taps(x.shape[1:3], window, places):
        rows[:, :, :, p, q][there] = x[seen]
    return rows


def add_columns(rows: Array, window: Window, out: Out) -> None:
    """Add each window's row to the images that it was taken from: the gradient of `columns`."""
    out[...] = 0
    for (p, q), there, seen in taps(out.shape[1:3], window, rows.shape[1:3]):
        out[seen] += rows[:, :, :, p, q][there]


def _matrices(rows: Array, groups: int) -> Array:
    """The rows of each group's channels, of all windows: (groups, n oh ow, kh kw c / groups)."""
    n, oh, ow, kh, kw, c = rows.shape
    parts = rows.reshape(n, oh, ow, kh, kw, groups, c // groups)
    return np.moveaxis(parts, 5, 0).reshape(groups, n * oh * ow, kh * kw * c // groups)


def _by_group(weight: Array, groups: int) -> Array:
    """The matrix of each group: (groups, kh kw c / groups, o / groups)."""
    o = weight.shape[3]
    return np.moveaxis(weight.reshape(-1, groups, o // groups), 1, 0)


def _joined(parts: Array, shape: tuple[int, ...]) -> Array:
    """Results of the groups (groups, rows, m) side by side."""
    return np.moveaxis(parts, 0, 1).reshape(shape)


def _places(pool: Window, y: Array) -> tuple[int, int]:
    """How many places of a convolution's output the windows of a pooling see."""
    rows, columns = ((y.shape[1 + i] - 1) * pool.stride[i] + pool.size[i] for i in (0, 1))
    return rows, columns


def convolution(
    kind: str,
    x: Array,
    weight: Array,
    bias: Array | None,
    window: Window,
    groups: int,
    pool: Window | None,
    y: Out,
    place: Out | None,
) -> None:
    places = y.shape[1:3] if pool is None else _places(pool, y)
    rows = _matrices(columns(x, window, places), groups)
    z = _joined(rows @ _by_group(weight, groups), (len(x), *places, weight.shape[3]))
    if pool is None:
        y[...] = z
    else:
        max_pool(z, pool, y, place)
    if bias is not None:
        y += bias
    if kind == "relu":
        np.maximum(y, 0, out=y)


def convolution_backward(
    kind: str,
    dy: Array,
    x: Array,
    weight: Array,
    window: Window,
    groups: int,
    pool: Window | None,
    y: Array,
    place: Array | None,
    dweight: Out | None,
    dbias: Out | None,
    dx: Out | None,
) -> None:
    o = weight.shape[3]
    dz = np.where(y > 0, dy, 0) if kind == "relu" else dy
    if pool is not None:
        pooled, dz = dz, np.empty((len(dy), *_places(pool, dy), o), dy.dtype)
        max_pool_backward(pooled, place, pool, dz)
    if dbias is not None:
        np.sum(dz, axis=(0, 1, 2), out=dbias)
    gradients = np.moveaxis(dz.reshape(-1, groups, o // groups), 1, 0)
    if dweight is not None:
        rows = _matrices(columns(x, window, dz.shape[1:3]), groups)
        dweight[...] = _joined(np.swapaxes(rows, 1, 2) @ gradients, weight.shape)
    if dx is not None:
        parts = gradients @ np.swapaxes(_by_group(weight, groups), 1, 2)
        parts = parts.reshape(groups, *dz.shape[:3], *weight.shape[:3])
        shape = *parts.shape[1:6], dx.shape[3]
        add_columns(np.moveaxis(parts, 0, 5).reshape(shape), window, dx)
