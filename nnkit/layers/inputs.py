"""What a model's inputs are multiplied by: decided where it is fitted, and remembered."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nnkit.backends import Array

BYTE = 1 / 255
"""What image bytes are multiplied by, so that they are 0 to 1."""

LEAST_PIXELS = 16
"""Numbers that a row must have to be taken for an image."""

BLOCK_BYTES = 16 << 20
"""Arrays are looked at in blocks of this size, so that looking takes no more memory."""


@dataclass(frozen=True)
class Inputs:
    """What a model was fitted on, and what its inputs are multiplied by.

    Numbers are taken as they are. An array of uint8 may hold image bytes or numbers (one-hot
    columns, for instance): it is scaled to 0..1 if its largest number is above 1 and its shape is
    (n, height, width), (n, height, width, channels), or (n, m) with m of at least 16.
    """

    scale: float | None = None
    """What `fit` was told to multiply inputs by, whatever their dtype."""
    bytes_scaled: bool | None = None
    """Whether arrays of uint8 are scaled to 0..1; None: each is looked at."""
    low: float | None = None
    """The smallest number that the model was fitted on, after scaling."""
    high: float | None = None
    """The largest."""

    def __post_init__(self) -> None:
        for name in ("scale", "low", "high"):
            value = getattr(self, name)
            if value is None:
                continue
            if not _is_finite(value):
                raise ValueError(f"{name} must be a number, not {value!r}")
            object.__setattr__(self, name, float(value))
        if self.scale is not None and self.scale <= 0:
            raise ValueError(f"scale must be positive, not {self.scale!r}")
        if not (self.bytes_scaled is None or isinstance(self.bytes_scaled, bool)):
            raise ValueError(f"bytes_scaled must be true or false, not {self.bytes_scaled!r}")

    def factor(self, array: Array) -> float:
        """What to multiply this array (n, ...) by."""
        if self.scale is not None:
            return self.scale
        if array.dtype != np.uint8:
            return 1.0
        scaled = self.bytes_scaled
        if scaled is None:
            scaled = looks_like_images(array.shape) and exceeds(array, 1)
        return BYTE if scaled else 1.0

    def fitted_on(self, dtype: Any, factor: float, low: float, high: float) -> Inputs:
        """Remember examples of a dtype, which reach from `low` to `high` after scaling.

        Whoever fitted numbers above 1 has bytes taken for such numbers too.
        """
        if self.scale is not None:
            scaled = None
        elif dtype == np.uint8:
            scaled = factor != 1
        else:
            scaled = False if high > 1 else None
        return replace(self, bytes_scaled=scaled, low=float(low), high=float(high))

    def having_seen(self, array: Array) -> Inputs:
        """Remember what a model that was never fitted computes with, in a loop written by hand.

        The first array that has a number above 1 decides. Numbers on a device are not looked at,
        which would take a wait for it in every step.
        """
        open_still = self.scale is None and self.bytes_scaled is None and self.high is None
        at_hand = array.dtype == np.uint8 or isinstance(array, np.ndarray)
        if not (open_still and at_hand and exceeds(array, 1)):
            return self
        images = array.dtype == np.uint8 and looks_like_images(array.shape)
        return replace(self, bytes_scaled=images)


def looks_like_images(shape: tuple[int, ...]) -> bool:
    """Whether examples of this shape (n, ...) may be images."""
    return len(shape) in (3, 4) or (len(shape) == 2 and shape[1] >= LEAST_PIXELS)


def exceeds(array: Array, limit: float) -> bool:
    """Whether a number is above a limit; the first block of rows with one is the last looked at."""
    return any(bool(block.max() > limit) for block in blocks(array) if block.size)


def blocks(array: Array) -> list[Array]:
    """Views of some rows each, that make up the array."""
    rows = max(1, BLOCK_BYTES // max(1, array[:1].nbytes))
    return [array[start : start + rows] for start in range(0, len(array), rows)]


def _is_finite(value: Any) -> bool:
    real = isinstance(value, int | float | np.integer | np.floating)
    return real and not isinstance(value, bool) and bool(abs(value) <= sys.float_info.max)
