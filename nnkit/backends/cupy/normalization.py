"""Normalisation of columns (of a batch) and of rows (of a layer)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnkit.backends.contract import Array, Norm, Out, Running, rectified
from nnkit.backends.cupy.launches import columns, merged_columns, real, rows

if TYPE_CHECKING:
    from nnkit.backends.cupy.backend import CupyBackend

FILE = "normalization"


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
    if merged_columns(backend.launcher, FILE, "batch_norm_forward", x, args) > 1:
        batch_norm_inference(backend, kind, x, norm, mean, var, y)


def batch_norm_inference(
    backend: CupyBackend, kind: str, x: Array, norm: Norm, mean: Array, var: Array, y: Out
) -> None:
    numbers = real(x, norm.eps), np.int32(rectified(kind))
    args = x, norm.gamma, norm.beta, mean, var, y, *numbers
    columns(backend.launcher, FILE, "batch_norm_inference", y, args)


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
    if merged_columns(backend.launcher, FILE, "batch_norm_backward", dx, args) > 1:
        columns(backend.launcher, FILE, "batch_norm_backward_input", dx, args)


def layer_norm_forward(
    backend: CupyBackend, x: Array, norm: Norm, mean: Out, inv_std: Out, y: Out
) -> None:
    args = x, norm.gamma, norm.beta, mean, inv_std, y, real(x, norm.eps)
    rows(backend.launcher, FILE, "layer_norm_forward", y, *args)


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
    merged_columns(launcher, FILE, "layer_norm_parameter_gradients", dx, args)
    args = dy, x, norm.gamma, mean, inv_std, dx
    rows(launcher, FILE, "layer_norm_backward", dx, *args)
