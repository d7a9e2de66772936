"""Masked arrays, whose masks no backend computes with."""

from __future__ import annotations

from typing import Any

import numpy as np


def is_masked(array: Any) -> bool:
    """Whether it is an array of `numpy.ma`, which is not loaded to find out."""
    plain = not isinstance(array, np.ndarray) or type(array) is np.ndarray
    return not plain and isinstance(array, np.ma.MaskedArray)


def refuse_masked(array: Any) -> None:
    """Raise TypeError, with the remedy, for an array, or a list of rows, with something masked."""
    if type(array) in (list, tuple):
        for row in array:
            if isinstance(row, list | tuple | np.ndarray):
                refuse_masked(row)
    if is_masked(array) and np.ma.getmaskarray(array).any():
        rows = "x[~x.mask]" if array.ndim == 1 else "x[~x.mask.any(axis=1)]"
        raise TypeError(
            "an array has masked numbers, and nnkit knows no masks: fill them, x.filled(value), or "
            f"leave their rows out, {rows}, with their targets"
        )
