"""Uneven light on a photographed page, taken out of the picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ROUNDS = 2
"""Where the light differs more than paper and pen, the first round takes some paper for pen."""


def levelled(gray: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return light ink on dark paper with the paper about 0 everywhere.

    What is subtracted is the surface of second degree, such as a lamp or a shadow at one side or
    darker corners come near to, that fits the pixels of paper best (least squares).
    """
    down, right = (np.linspace(-1, 1, side) for side in gray.shape)
    y, x = (place.ravel() for place in np.meshgrid(down, right, indexing="ij"))
    terms = np.stack([np.ones(gray.size), y, x, y * y, y * x, x * x])
    for _ in range(ROUNDS):  # by the normal equations, a few numbers instead of all pixels
        known = terms * (gray <= threshold(gray)).ravel()
        weights = np.linalg.lstsq(known @ terms.T, known @ gray.ravel(), rcond=None)[0]
        gray = gray - (weights @ terms).reshape(gray.shape)
    return gray


def threshold(gray: NDArray[np.float64]) -> float:
    """Find the brightness that separates two kinds of pixels best (Otsu 1979)."""
    counts, edges = np.histogram(gray, bins=256)
    below = counts.cumsum()
    above = below[-1] - below
    total = (counts * edges[:-1]).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = total / below - (total[-1] - total) / above
        variance = np.nan_to_num(below * above * distance**2)
    return float(edges[variance.argmax() + 1])
