"""What joins the branches of a network, and parts their gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnkit.backends.contract import Array, Out, check_columns
from nnkit.backends.cupy.grids import matrix
from nnkit.backends.cupy.launches import flat
from nnkit.backends.cupy.launching import Launcher

if TYPE_CHECKING:
    from nnkit.backends.cupy.backend import CupyBackend


def add(backend: CupyBackend, a: Array, b: Array, out: Out) -> None:
    flat(backend.launcher, "containers", "add", out, a, b, out)


def put_columns(backend: CupyBackend, x: Array, first: int, out: Out) -> None:
    _copy(backend.launcher, "put_columns", x, out, first, narrow=x, wide=out)


def take_columns(backend: CupyBackend, x: Array, first: int, out: Out) -> None:
    _copy(backend.launcher, "take_columns", x, out, first, narrow=out, wide=x)


def _copy(
    launcher: Launcher, name: str, x: Array, out: Out, first: int, narrow: Array, wide: Array
) -> None:
    """Launch what copies all of `narrow`, or to it. Bytes are copied, whatever the dtype."""
    check_columns(narrow, first, wide)
    if not narrow.size:
        return
    columns, itemsize = narrow.shape[-1], narrow.itemsize
    rows = narrow.size // columns
    grid, block = matrix(rows, columns, narrow.dtype, launcher.most_blocks)
    sizes = first * itemsize, wide.shape[-1] * itemsize, rows, columns * itemsize
    args = x, out, *map(np.int64, sizes)
    launcher.launch("containers", name, np.dtype(np.float32), grid, block, args)
