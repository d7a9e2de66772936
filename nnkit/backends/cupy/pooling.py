"""The largest, and the sum, of each window of an image."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from nnkit.backends.contract import Array, Out, Window
from nnkit.backends.cupy.grids import packs, tiles
from nnkit.backends.cupy.launches import real
from nnkit.backends.cupy.launching import Launcher
from nnkit.backends.cupy.windows import axes, launch
from nnkit.kernels.cuda import THREADS

if TYPE_CHECKING:
    from nnkit.backends.cupy.backend import CupyBackend

LARGE = 16
"""Elements of a window that several threads share, where there would be too few of them else."""


def max_pool(backend: CupyBackend, x: Array, window: Window, y: Out, place: Out) -> None:
    largest(backend.launcher, "identity", x, None, window, y, place)


def max_pool_backward(
    backend: CupyBackend, dy: Array, place: Array, window: Window, dx: Out
) -> None:
    to_largest(backend.launcher, dy, place, None, window, dx)


def largest(
    launcher: Launcher, kind: str, x: Array, bias: Array | None, window: Window, y: Out, place: Out
) -> None:
    """Write ``f(largest + bias)`` of each window to y, and the place of the largest."""
    args = x, bias, np.int32(kind == "relu"), y, place
    of = axes(x.shape[1:3], window, y.shape[1:3])
    _launch(launcher, _for_places("max_pool", place), y, *args, of=of)


def to_largest(
    launcher: Launcher, dy: Array, place: Array, y: Array | None, window: Window, dx: Out
) -> None:
    """Take each dy to its place in dx, or only those where ``y > 0``, if y is given."""
    of = axes(dx.shape[1:3], window, dy.shape[1:3])
    _launch(launcher, _for_places("max_pool_backward", place), dx, dy, place, y, dx, of=of)


def average_pool(backend: CupyBackend, x: Array, window: Window, divisor: float, y: Out) -> None:
    of = axes(x.shape[1:3], window, y.shape[1:3])
    args, most = (x, y, real(y, divisor)), backend.launcher.most_blocks
    few = 0 < packs(y.size, y.dtype) < most * THREADS
    if not (few and window.size[0] * window.size[1] >= LARGE):
        _launch(backend.launcher, "average_pool", y, *args, of=of)
    else:
        places, channels = y.size // y.shape[3], y.shape[3]
        (across, _), block = tiles(places, channels, y.dtype, most)
        grid = across, max(1, min(places, most // across))
        tail = np.int64(places), np.int32(channels), *of
        backend.launcher.launch("pooling", "average_pool_large", y.dtype, grid, block, args + tail)


def average_pool_backward(
    backend: CupyBackend, dy: Array, window: Window, divisor: float, dx: Out
) -> None:
    of = axes(dx.shape[1:3], window, dy.shape[1:3])
    args = dy, dx, real(dx, divisor)
    _launch(backend.launcher, "average_pool_backward", dx, *args, of=of)


def _launch(
    launcher: Launcher, name: str, out: Out, *args: Any, of: tuple[np.integer[Any], ...]
) -> None:
    """Launch a kernel that goes through the images `out`; `of` are the axes."""
    *images, channels = out.shape
    tail = np.int64(prod(images)), np.int32(channels), *of
    launch(launcher, "pooling", name, out, prod(images), channels, *args, *tail)


def _for_places(name: str, place: Array) -> str:
    """Name the kernel whose places are bytes, or int."""
    return name if place.dtype == np.uint8 else f"{name}_int"
