"""From where to where examples reach, and whether that is what the model needs."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.backends import Array
from nnkit.dtypes import as_arithmetic
from nnkit.given.rows import Rows
from nnkit.layers.inputs import Inputs, blocks, exceeds, looks_like_images
from nnkit.showing.warning import DataWarning, warn

FAR = 10
"""Examples that reach so many times further than those fitted on are told of."""

LEAST_WHITE, WHITE = 128, 255
"""Between these is the brightest pixel of images whose pixels are whole numbers up to 255."""

LITTLE = 100
"""Images that reach so many times less far than those fitted on are told of."""

SCALED = 2
"""Images that were scaled reach no further, whereas counts, of which there may be far fewer in some
rows than in others, do."""

FEW_ROWS, FEW_SHADES = 10, 3
"""Fewer images with no more shades than that are dark, not scaled wrongly."""

DARK = 16
"""Bytes of which none is above this are probably no pixels, or none from 0 to 255."""

LOOKED_AT = 1000
"""Rows that are searched for numbers which are not whole."""


def finite_range(array: Array, name: str) -> tuple[float, float]:
    """Smallest and largest number; raises ValueError for a row that holds NaN or infinity."""
    low, high, start = np.inf, -np.inf, 0
    if isinstance(array, Rows) and (ends := array.ends()) is not None:
        return ends
    for block in blocks(array):
        if not block.size:
            return 0.0, 0.0
        real = as_arithmetic(block)
        least, most = float(real.min()), float(real.max())
        if not (np.isfinite(least) and np.isfinite(most)):
            finite = (abs(real.reshape(len(real), -1)) < np.inf).all(axis=1)
            row = start + int(finite.argmin())
            raise ValueError(f"{name} holds NaN or infinity, first in row {row}")
        low, high, start = min(low, least), max(high, most), start + len(block)
    return low, high


def warn_of_pixels(array: Array, inputs: Inputs, first: bool = True, name: str = "x") -> None:
    """Warn of images to fit, of whole numbers up to 255, that are not scaled to 0..1.

    What is no image, or has negative numbers, or none from 128 on, is taken for counts and the
    like. Warn, too, of bytes that were scaled, but are probably such counts, in the first fit.
    """
    if inputs.high is None or inputs.scale is not None:  # zeros or ones; told what to do
        return
    if array.dtype == np.uint8:
        if first and not exceeds(array, DARK):
            warn(
                f"{name} is of uint8 and looks like image bytes, which are scaled by 1/255, but no "
                f"number is above {DARK}: say scale=1 if they are to be taken as they are, or "
                "scale=1/255",
                DataWarning,
            )
        return
    if not (_reach_white(inputs) and looks_like_images(array.shape)):
        return
    sample = as_arithmetic(array[:LOOKED_AT])
    if bool((sample == sample.round()).all()):
        warn(
            f"{name} looks like images with pixels from {inputs.low:g} to {inputs.high:g}, which "
            "networks learn badly from: say scale=1/255 (scale=1 if they are to be taken as they "
            "are)",
            DataWarning,
        )


def warn_of_range(array: Array, low: float, high: float, fitted: Inputs, name: str) -> None:
    """Warn of examples far outside of what the model was fitted on, or of images scaled twice."""
    if fitted.low is None or fitted.high is None:
        return
    reach, known = max(abs(low), abs(high)), max(abs(fitted.low), abs(fitted.high))
    pixels = min(low, fitted.low) >= 0 and (known <= SCALED or _reach_white(fitted))
    too_small = pixels and reach * LITTLE <= known and _are_bright(array)
    if too_small or reach > FAR * known > 0:
        warn(
            f"{name} reaches from {low:g} to {high:g}, but the model was fitted on numbers from "
            f"{fitted.low:g} to {fitted.high:g}: scale both in the same way (a fit with scale= "
            "starts anew)",
            DataWarning,
        )


def warn_of_targets(x: Array, t: Any, inputs: Inputs) -> None:
    """Warn of image bytes that an autoencoder is to give, where x, of as many, is scaled."""
    scaled = x.dtype == np.uint8 or inputs.scale not in (None, 1)
    whole = getattr(t, "dtype", None) is not None and getattr(t.dtype, "kind", "") in "iu"
    if not (scaled and whole and t.size == x.size and looks_like_images(t.shape)):
        return
    if exceeds(t, DARK) and not exceeds(t, WHITE):
        warn(
            "x is scaled, but t, which looks like images too, is not: targets are taken as they "
            "are; say fit(x, t / 255)",
            DataWarning,
        )


def _are_bright(array: Array) -> bool:
    """Whether these are images, and neither black nor a few that are merely dark."""
    if not (looks_like_images(array.shape) and exceeds(array, 0)):
        return False
    sample = as_arithmetic(array[:FEW_ROWS])
    return len(array) >= FEW_ROWS or len(np.unique(sample)) > FEW_SHADES


def _reach_white(inputs: Inputs) -> bool:
    assert inputs.low is not None and inputs.high is not None
    return inputs.low >= 0 and LEAST_WHITE <= inputs.high <= WHITE
