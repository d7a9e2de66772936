"""Convolutions as products of matrices, whose rows are what the places of an output see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnkit.backends.contract import Array, Out
from nnkit.backends.cupy.activations import bias_activation, bias_gradient
from nnkit.backends.cupy.cublaslt import Epilogue
from nnkit.backends.cupy.lying import Lying
from nnkit.backends.cupy.products import BIAS_EPILOGUES, in_one, matmul
from nnkit.backends.cupy.windows import launch

if TYPE_CHECKING:
    from nnkit.backends.cupy.backend import CupyBackend


def forward(
    backend: CupyBackend,
    kind: str,
    lying: Lying,
    x: Array,
    weight: Array,
    bias: Array | None,
    rows: Out,
    y: Out,
) -> None:
    """``y = f(what the places see @ weight + bias)``; `rows` is room for what they see."""
    a, w, z = _unfold(backend, lying, x, rows), _matrix(weight), _matrix(y)
    alone = lying.groups == 1 and bias is not None
    if alone and in_one(backend, BIAS_EPILOGUES[kind], a, w, z, bias):
        return
    matmul(backend, *map(lying.matrices, (a, w, z)))
    if bias is not None or kind != "identity":
        bias_activation(backend, kind, z, bias, z, 0.0)


def weight_gradient(
    backend: CupyBackend,
    lying: Lying,
    x: Array,
    dz: Array,
    rows: Out,
    dweight: Out,
    dbias: Out | None,
) -> None:
    """``dweight = what the places see, transposed, @ dz`` and ``dbias = sum of dz``, if wanted."""
    a, d, dw = _unfold(backend, lying, x, rows), _matrix(dz), _matrix(dweight)
    alone = lying.groups == 1 and dbias is not None
    if alone and in_one(backend, Epilogue.BIAS_GRADIENT, a.T, d, dw, dbias):
        return
    a, b, out = map(lying.matrices, (a, d, dw))
    matmul(backend, a.swapaxes(-1, -2), b, out)
    if dbias is not None:
        bias_gradient(backend, d, dbias)


def image_gradient(
    backend: CupyBackend, lying: Lying, dz: Array, weight: Array, rows: Out, dx: Out
) -> None:
    """``dx = dz @ weight.T``, each number of it added to the pixel that its place sees."""
    out = _matrix(dx) if lying.plain else rows[:, : lying.columns]
    d, w, out = map(lying.matrices, (_matrix(dz), _matrix(weight), out))
    matmul(backend, d, w.swapaxes(-1, -2), out)
    if not lying.plain:
        pixels = len(_matrix(dx))
        args = rows, dx, *_sizes(lying, pixels, rows)
        launch(backend.launcher, "windows", "fold", dx, pixels, lying.channels, *args)


def _unfold(backend: CupyBackend, lying: Lying, x: Array, rows: Out) -> Array:
    """Return what the places see, a row for each."""
    if lying.plain:
        return _matrix(x)
    args = x, rows, *_sizes(lying, len(rows), rows)
    launch(backend.launcher, "windows", "unfold", x, *rows.shape, *args)
    return rows[:, : lying.columns]


def _sizes(lying: Lying, points: int, rows: Array) -> tuple[np.generic, ...]:
    channels, _, groups = lying.sizes()
    return np.int64(points), channels, groups, np.int32(rows.shape[1]), *lying.axes()


def _matrix(array: Array) -> Array:
    """Rows of all but the last axis."""
    return array.reshape(-1, array.shape[-1])
