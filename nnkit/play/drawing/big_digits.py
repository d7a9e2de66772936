"""The digits that come with nnkit, of 8x8 pixels, as if they had been written as MNIST's were."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnkit.data import Dataset
from nnkit.images import prepared

Pixels = NDArray[np.float64]

SIDE = 40
"""Pixels of a digit on its way from 8x8 to 28x28."""

INK = (0.3, 0.7)
"""Brightness, 0 to 1, from which on an enlarged pixel is ink: thick strokes, or thin ones."""

WIDTH = (0.6, 1.1)
"""How wide one becomes, as a part of its height: the 8x8 pixels were stretched to a square."""

SLANT = (-0.2, 0.5)
"""How far it leans to the right, as a part of its height; MNIST's lean that way."""

EDGE = 5
"""How steeply ink begins: over a fifth of the brightness."""


def as_mnist(
    digits: Dataset, copies: int, seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (n, 28, 28) of all digits, training and test, so many of each, and their labels.

    Each copy has a thickness, a width and a slant of its own, drawn from the seed.
    """
    rng = np.random.default_rng(seed)
    small = np.concatenate([digits.x_train, digits.x_test]).reshape(-1, 8, 8)
    labels = np.concatenate([digits.t_train, digits.t_test])
    drawn = [rng.uniform(*between, (copies, len(small))) for between in (INK, WIDTH, SLANT)]
    images = [
        prepared(_written(image, ink, width, slant), (28, 28), "mnist")
        for each in zip(*drawn, strict=True)
        for image, ink, width, slant in zip(small, *each, strict=True)
    ]
    return np.stack(images), np.tile(labels, copies)


def _written(image: NDArray[np.uint8], ink: float, width: float, slant: float) -> Pixels:
    """Enlarge one, make its strokes sharp, and shift its rows."""
    from PIL import Image

    small = Image.fromarray(np.pad(image, 1).astype(np.float32))
    large = small.resize((round(SIDE * width), SIDE), Image.Resampling.BICUBIC)
    sharp = ((np.asarray(large, np.float64) / 255 - ink) * EDGE + 0.5).clip(0, 1) * 255
    shifts = np.rint(slant * (SIDE - np.arange(SIDE))).astype(int)
    shifts -= shifts.min()
    leaning = np.zeros((SIDE, sharp.shape[1] + int(shifts.max())))
    for row, shift, to in zip(sharp, shifts, leaning, strict=True):
        to[shift : shift + len(row)] = row
    return leaning
