"""What a model's inputs are multiplied by: decided where it is fitted, and remembered."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nnkit.backends import Array

BYTE = 1 / 255
"""What image bytes are multiplied by, so that they are 0 to 1."""

LEAST_PIXELS = 16
"""Numbers that a row must have to be taken for an image."""

MOST_CHANNELS = 4
"""Channels of an ordinary image: more are rows of one whose channels come first."""

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

        Whoever fitted numbers above 1 has bytes taken for such numbers too. What was decided in a
        fit before stays, and the range grows. Zeros or ones only, which kernels are tried out with,
        tell nothing.
        """
        if low == high and high in (0, 1):
            return self
        scaled = self.bytes_scaled
        if self.scale is None and (scaled is None or self.high is None):
            if dtype == np.uint8:
                scaled = factor != 1
            elif high > 1:
                scaled = False
        low = low if self.low is None else min(low, self.low)
        high = high if self.high is None else max(high, self.high)
        return replace(self, bytes_scaled=scaled, low=float(low), high=float(high))

    def having_seen(self, array: Array) -> Inputs:
        """Remember what a model that was never fitted computes with, in a loop written by hand.

        The first array of uint8 that has a number above 1 decides. Other numbers do not: they may
        be noise that somebody tried the model out with.
        """
        open_still = self.scale is None and self.bytes_scaled is None and self.high is None
        if not (open_still and array.dtype == np.uint8 and exceeds(array, 1)):
            return self
        return replace(self, bytes_scaled=looks_like_images(array.shape))


def looks_like_images(shape: tuple[int, ...]) -> bool:
    """Whether examples of this shape (n, ...) may be images."""
    return len(shape) in (3, 4) or (len(shape) == 2 and shape[1] >= LEAST_PIXELS)


def channels_first(image: tuple[int, ...]) -> bool:
    """Whether an image's (height, width, channels) seem to be (channels, height, width)."""
    return len(image) == 3 and image[0] in (1, 3) and image[2] > MOST_CHANNELS


def exceeds(array: Array, limit: float) -> bool:
    """Whether a number is above a limit; the first block of rows with one is the last looked at."""
    return any(bool(block.max() > limit) for block in blocks(array) if block.size)


def blocks(array: Array) -> Iterator[Array]:
    """Some rows at a time, that make up the array: views, where they need not be read first."""
    rows = max(1, BLOCK_BYTES // max(1, array[:1].nbytes))
    return (array[start : start + rows] for start in range(0, len(array), rows))


def _is_finite(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    # NumPy would compare in its own precision, and warn; Python's integers may be any size.
    number = value if isinstance(value, int) else float(value)
    return abs(number) <= sys.float_info.max
