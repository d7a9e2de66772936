"""Normalisation of columns (of a batch) and of rows (of a layer)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nnkit.backends.contract import Array, Norm, Out, Running, rectified
from nnkit.backends.cupy.grids import ACCESS_BYTES, tiles
from nnkit.backends.cupy.launches import real, rows
from nnkit.backends.cupy.launching import Launcher
from nnkit.dtypes import arithmetic

if TYPE_CHECKING:
    from nnkit.backends.cupy.backend import CupyBackend


def batch_norm_forward(
    backend: CupyBackend,
    kind: str,
    x: Array,
    norm: Norm,
    running: Running,
    mean: Out,
    var: Out,
    y: Out,
) -> None:
    averages = running.mean, running.var, mean, var
    numbers = real(x, norm.eps), real(x, running.momentum), np.int32(rectified(kind))
    args = x, norm.gamma, norm.beta, *averages, y, *numbers
    if _merged_columns(backend.launcher, "batch_norm_forward", x, args) > 1:
        batch_norm_inference(backend, kind, x, norm, mean, var, y)


def batch_norm_inference(
    backend: CupyBackend, kind: str, x: Array, norm: Norm, mean: Array, var: Array, y: Out
) -> None:
    numbers = real(x, norm.eps), np.int32(rectified(kind))
    args = x, norm.gamma, norm.beta, mean, var, y, *numbers
    _columns(backend.launcher, "batch_norm_inference", y, args)


def batch_norm_backward(
    backend: CupyBackend,
    kind: str,
    dy: Array,
    y: Array | None,
    x: Array,
    norm: Norm,
    mean: Array,
    var: Array,
    dgamma: Out,
    dbeta: Out,
    dx: Out,
    batch_statistics: bool,
) -> None:
    relu = rectified(kind)
    numbers = real(x, norm.eps), np.int32(batch_statistics), np.int32(relu)
    args = dy, y if relu else x, x, norm.gamma, mean, var, dgamma, dbeta, dx, *numbers
    if _merged_columns(backend.launcher, "batch_norm_backward", dx, args) > 1:
        _columns(backend.launcher, "batch_norm_input_gradient", dx, args)


def layer_norm_forward(
    backend: CupyBackend, x: Array, norm: Norm, mean: Out, inv_std: Out, y: Out
) -> None:
    args = x, norm.gamma, norm.beta, mean, inv_std, y, real(x, norm.eps)
    rows(backend.launcher, "normalization", "layer_norm_forward", y, *args)


def layer_norm_backward(
    backend: CupyBackend,
    dy: Array,
    x: Array,
    norm: Norm,
    mean: Array,
    inv_std: Array,
    dgamma: Out,
    dbeta: Out,
    dx: Out,
) -> None:
    launcher, args = backend.launcher, (dy, x, mean, inv_std, dgamma, dbeta)
    _merged_columns(launcher, "layer_norm_parameter_gradients", dx, args)
    args = dy, x, norm.gamma, mean, inv_std, dx
    rows(launcher, "normalization", "layer_norm_backward", dx, *args)


def _columns(
    launcher: Launcher,
    name: str,
    like: Array,
    args: tuple[Any, ...],
    tail: tuple[Any, ...] = (),
) -> None:
    """Launch a kernel of normalization.cu on the columns of matrices like this one."""
    count, columns = like.shape
    grid, block = tiles(count, columns, like.dtype, launcher.most_blocks, narrow=True)
    sizes = np.int64(count), np.int64(columns)
    launcher.launch("normalization", name, like.dtype, grid, block, args + sizes + tail)


def _merged_columns(launcher: Launcher, name: str, like: Array, args: tuple[Any, ...]) -> int:
    """Launch one that ends with merge_columns(); returns the blocks that share each column."""
    count, columns = like.shape
    grid, block = tiles(count, columns, like.dtype, launcher.most_blocks, narrow=True)
    across, groups = grid
    reals = 2 * (ACCESS_BYTES // like.dtype.itemsize) + 1  # in the larger Part, Moments
    partial = launcher.scratch(groups * across * block[0] * reals, arithmetic(like.dtype))
    _columns(launcher, name, like, args, (partial, launcher.scratch(across, np.uint32)))
    return groups
