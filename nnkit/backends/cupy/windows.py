"""How kernels are told of windows on images, and launched to go through images."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.backends.contract import Array, Window
from nnkit.backends.cupy.grids import matrix
from nnkit.backends.cupy.launching import Launcher


def axes(
    image: tuple[int, int], window: Window, places: tuple[int, int]
) -> tuple[np.integer[Any], ...]:
    """Return what AXES of windows.cuh declares; `image` and `places` are (height, width)."""
    found: list[np.integer[Any]] = []
    for length, place, *others in zip(image, places, *window, strict=True):
        found += [*map(np.int32, (length, place, *others)), reciprocal(length), reciprocal(place)]
    return tuple(found)


def reciprocal(divisor: int) -> np.uint64:
    """Return what a Divisor of windows.cuh multiplies by."""
    return np.uint64(0 if divisor == 1 else -(-(2**64) // divisor))


def seen_by(pool: Window, places: tuple[int, int]) -> tuple[int, int]:
    """Height and width of what windows see that do not overlap and lie on no padding."""
    height, width = ((places[i] - 1) * pool.stride[i] + pool.size[i] for i in (0, 1))
    return height, width


def launch(
    launcher: Launcher, file: str, name: str, like: Array, rows: int, columns: int, *args: Any
) -> None:
    """Launch a kernel that goes through a matrix of such numbers with each_pack_of_rows()."""
    if rows and columns:
        grid, block = matrix(rows, columns, like.dtype, launcher.most_blocks)
        launcher.launch(file, name, like.dtype, grid, block, args)
