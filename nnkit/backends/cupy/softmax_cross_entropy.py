"""Softmax and its logarithm, of rows, their gradients, and losses of what they give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnkit.backends.contract import Array, Out
from nnkit.backends.cupy.grids import team
from nnkit.backends.cupy.launches import loss, real, rows

if TYPE_CHECKING:
    from nnkit.backends.cupy.backend import CupyBackend


FILE = "softmax_cross_entropy"


def softmax(backend: CupyBackend, x: Array, y: Out) -> None:
    rows(backend.launcher, FILE, "softmax", y, x, y)


def softmax_backward(backend: CupyBackend, dy: Array, y: Array, dx: Out) -> None:
    rows(backend.launcher, FILE, "softmax_backward", dx, dy, y, dx)


def log_softmax(backend: CupyBackend, x: Array, y: Out) -> None:
    rows(backend.launcher, FILE, "log_softmax", y, x, y)


def log_softmax_backward(backend: CupyBackend, dy: Array, y: Array, dx: Out) -> None:
    rows(backend.launcher, FILE, "log_softmax_backward", dx, dy, y, dx)


def softmax_cross_entropy(
    backend: CupyBackend,
    z: Array,
    target: Array,
    dz: Out,
    log: Out,
    counters: Array,
    weights: Array | None,
) -> None:
    launcher, (count, columns) = backend.launcher, z.shape
    suffix, grid, threads = team(count, columns, z.dtype, launcher.most_blocks)
    kind = "labels" if target.ndim == 1 else "probabilities"
    args = z, target, dz, weights, np.int64(count), np.int32(columns)
    name = f"cross_entropy_{kind}{suffix}"
    loss(launcher, FILE, name, dz, grid, threads, args, log, counters)


def categorical_cross_entropy(
    backend: CupyBackend,
    y: Array,
    target: Array,
    dy: Out,
    log: Out,
    counters: Array,
    delta: float,
    weights: Array | None,
) -> None:
    launcher, (count, columns) = backend.launcher, y.shape
    suffix, grid, threads = team(count, columns, y.dtype, launcher.most_blocks)
    sizes = np.int64(count), np.int32(columns)
    args = y, target, dy, weights, real(y, delta), *sizes
    name = f"categorical_cross_entropy{suffix}"
    loss(launcher, FILE, name, dy, grid, threads, args, log, counters)
