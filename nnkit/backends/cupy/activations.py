"""Activations, with the bias added on the way, and their gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnkit.backends.contract import Array, Out
from nnkit.backends.cupy.grids import blocks, packs
from nnkit.backends.cupy.launches import column_sums, flat, real
from nnkit.kernels.cuda import THREADS
from nnkit.kernels.table import ACTIVATIONS, trainable

if TYPE_CHECKING:
    from nnkit.backends.cupy.backend import CupyBackend

CODES = {kind: np.int32(activation.code) for kind, activation in ACTIVATIONS.items()}


def bias_activation(
    backend: CupyBackend, kind: str, z: Out, bias: Array | None, y: Out, alpha: float
) -> None:
    launcher = backend.launcher
    if bias is None:
        activation(backend, kind, z, y, alpha)
    elif z.size:
        grid = (blocks(packs(z.size, z.dtype), launcher.most_blocks),)
        keep_z = np.int32(ACTIVATIONS[kind].saved == "x")
        args = CODES[kind], real(z, alpha), z, bias, y, keep_z
        sizes = np.int64(z.size), np.int64(z.shape[-1])
        launcher.launch("activations", "bias_activation", z.dtype, grid, (THREADS,), args + sizes)


def bias_activation_backward(
    backend: CupyBackend,
    kind: str,
    dy: Array,
    saved: Array,
    dz: Out,
    dbias: Out | None,
    alpha: float,
) -> None:
    if dbias is None:
        activation_backward(backend, kind, dy, saved, dz, alpha)
    else:
        trainable(kind)
        head = CODES[kind], real(dz, alpha), dy, saved, dz
        column_sums(backend.launcher, "bias_activation_backward", head, dz.shape, dbias)


def activation(backend: CupyBackend, kind: str, x: Array, y: Out, alpha: float) -> None:
    args = CODES[kind], real(y, alpha), x, y
    flat(backend.launcher, "activations", "activation", y, *args)


def activation_backward(
    backend: CupyBackend, kind: str, dy: Array, saved: Array, dx: Out, alpha: float
) -> None:
    trainable(kind)
    args = CODES[kind], real(dx, alpha), dy, saved, dx
    flat(backend.launcher, "activations", "activation_backward", dx, *args)


def bias_gradient(backend: CupyBackend, dy: Array, dbias: Out) -> None:
    column_sums(backend.launcher, "bias_gradient", (dy,), dy.shape, dbias)
