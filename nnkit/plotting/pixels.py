"""One image: in a shape that a model takes, and as it is drawn."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnkit.layers import Sequential
from nnkit.plotting.style import GRID

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Image = NDArray[Any]

COLOURS = 3
"""Channels that are drawn as red, green and blue."""


def batch_of(model: Sequential, image: Image) -> Image:
    """A batch of one image, (height, width) or with channels, in a shape that a model takes.

    As it is, with an axis for its one channel, or as a row. Raises ValueError for what is no image,
    and where the model takes none of the three.
    """
    image = np.asarray(image)
    if image.ndim not in (2, 3) or not image.size:
        raise ValueError(
            "image must have shape (height, width) or (height, width, channels), not "
            f"{image.shape}; one of a batch x is x[0]"
        )
    for shape in (image.shape, (*image.shape, 1), (image.size,)):
        with suppress(ValueError):
            model.output_shape(shape)
            return image.reshape(1, *shape)
    raise ValueError(f"the model takes no image of shape {image.shape}, nor a row of its numbers")


def channels_last(image: Image) -> Image:
    """An image (height, width, channels), also of one whose three channels or one come first."""
    if image.ndim == 2:
        return image[..., None]
    first = image.shape[2] not in (1, COLOURS) and image.shape[0] in (1, COLOURS)
    return np.moveaxis(image, 0, 2) if first else image


def gray_map(images: Image, ink: bool | None = None) -> str:
    """Name of Matplotlib's colours for gray images (n, height, width, ...).

    Digits are ink: their high values are drawn dark, on white. Photographs are drawn as they are.
    `ink` None: they are ink where half of the pixels at their borders have the lowest value of all.
    """
    if ink is None:
        rows, columns = images[:, [0, -1]], images[:, :, [0, -1]]
        border = np.concatenate([rows.ravel(), columns.ravel()])
        ink = bool(np.median(border) == images.min())
    return "gray_r" if ink else "gray"


def draw_image(axes: Axes, image: Image, ink: bool | None = None) -> None:
    """Draw an image with three channels in colour, any other gray; `ink` as for `gray_map`."""
    pixels = channels_last(image).astype(np.float64)
    low, high = float(pixels.min()), float(pixels.max())
    if pixels.shape[2] == COLOURS:
        if image.dtype == np.uint8 or low < 0 or high > 1:
            low, high = (0, 255) if image.dtype == np.uint8 else (low, high)
            pixels = (pixels - low) / ((high - low) or 1)
        axes.imshow(pixels, interpolation="nearest")
    else:
        gray = pixels.mean(axis=2)
        axes.imshow(gray, interpolation="nearest", cmap=gray_map(gray[None], ink))
    frame(axes)


def frame(axes: Axes) -> None:
    """Leave a thin frame around an image, and no more."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color(GRID)
