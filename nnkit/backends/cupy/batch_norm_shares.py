"""Batch normalisation of a batch that several ranks share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnkit.backends.contract import Array, Norm, Out, Running, rectified
from nnkit.backends.cupy.launches import columns, flat, merged_columns, real

if TYPE_CHECKING:
    from nnkit.backends.cupy.backend import CupyBackend

FILE = "batch_norm_shares"


def batch_norm_moments(backend: CupyBackend, x: Array, place: int, moments: Out) -> None:
    args = x, np.int32(place), np.int32(len(moments)), moments
    merged_columns(backend.launcher, FILE, "batch_norm_moments", x, args)


def batch_norm_merge(
    backend: CupyBackend, moments: Array, running: Running, mean: Out, var: Out
) -> None:
    averages = running.mean, running.var, mean, var, real(var, running.momentum)
    args = moments, np.int32(len(moments)), *averages
    flat(backend.launcher, FILE, "batch_norm_merge", var, *args)


def batch_norm_sums(
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
    sums: Out,
) -> None:
    relu = rectified(kind)
    args = dy, y if relu else x, x, mean, var, dgamma, dbeta, sums, real(x, norm.eps)
    merged_columns(backend.launcher, FILE, "batch_norm_sums", x, (*args, np.int32(relu)))


def batch_norm_input_gradient(
    backend: CupyBackend,
    kind: str,
    dy: Array,
    y: Array | None,
    x: Array,
    norm: Norm,
    mean: Array,
    var: Array,
    sums: Array,
    count: int,
    dx: Out,
) -> None:
    relu = rectified(kind)
    arrays = dy, y if relu else x, x, norm.gamma, mean, var, sums, dx
    args = *arrays, real(x, norm.eps), np.int64(count), np.int32(relu)
    columns(backend.launcher, FILE, "batch_norm_input_gradient", dx, args)
