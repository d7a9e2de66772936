"""What the networks ask of the images they are made for."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

from nnkit.given.keywords import passing_on
from nnkit.given.options import integer, shown
from nnkit.layers import Layer
from nnkit.layers.inputs import channels_first

Shape = tuple[int, int, int]

network = passing_on("seed", "dtype", "backend", "fuse")
"""Makes the functions of networks explain keywords that neither they nor `Sequential` have."""


def checked(network: str, image: Any, classes: Any, least: int) -> Shape:
    """Return (height, width, channels) of an image, whose channel may have been left out.

    Raises TypeError or ValueError for what is none, for one that seems to have its channels first,
    for sides of fewer than `least` pixels, and for what is no number of classes.
    """
    at_least_one = integer(least=1)
    at_least_one.checked(f"{network}: classes", classes)
    if not isinstance(image, list | tuple) or len(image) not in (2, 3):
        raise TypeError(
            f"{network}: image is (height, width) or (height, width, channels), not {shown(image)}"
        )
    sizes = zip(("height", "width", "channels"), (*image, 1), strict=False)
    height, width, channels = (at_least_one.checked(f"{network}: {n}", size) for n, size in sizes)
    if channels_first((height, width, channels)):
        raise ValueError(
            f"{network}: image {(height, width, channels)} has its channels first: write "
            f"{(width, channels, height)}, and give images as x.transpose(0, 2, 3, 1)"
        )
    if min(height, width) < least:
        raise ValueError(
            f"{network} takes images of at least {least}x{least} pixels, not {height}x{width}: "
            "scale them up, or take a network without convolutions"
        )
    return height, width, channels


def numbers_behind(layers: Iterable[Layer], shape: tuple[int, ...]) -> int:
    """Return how many numbers an image of this shape becomes in these layers."""
    for layer in layers:
        shape = layer.output_shape(shape)
    return prod(shape)
