"""A network like VGG (Simonyan & Zisserman 2014), for small images."""

from __future__ import annotations

from typing import Any

from nnkit.layers import (
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Image,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
)
from nnkit.models import images

WIDTHS = 32, 64, 128
"""Channels of the three blocks, twice as many where an image has half the sides."""

HIDDEN = 128


@images.network
def vgg(
    image: tuple[int, ...] = (32, 32, 3), classes: int = 10, dropout: float = 0.5, **options: Any
) -> Sequential:
    """Six convolutions 3x3 with batch normalisation, pooling behind each second, and two layers.

    551,018 parameters for (32, 32, 3)::

        (32, 32, 3) -> conv 32 -> conv 32 -> pool (16, 16, 32) -> conv 64 -> conv 64 -> pool
        (8, 8, 64) -> conv 128 -> conv 128 -> pool (4, 4, 128) -> 128 -> dropout -> 10

    Parameters
    ----------
    image
        (height, width, channels), or (height, width) for one channel; sides of 8 pixels at least.
    classes
        Number of logits.
    dropout
        Fraction of the hidden layer that is left out in training.
    options
        For `nnkit.Sequential`: seed, dtype, backend, fuse.

    Notes
    -----
    Simonyan & Zisserman 2014, "Very deep convolutional networks for large-scale image recognition":
    nothing but 3x3, channels doubled where the image is halved. Theirs has 13 or 16 convolutions of
    64 to 512 channels for images of 224 pixels, and no normalisation, which Ioffe & Szegedy
    published a year later. Convolutions in front of one need no bias.
    """
    height, width, channels = images.checked("vgg", image, classes, least=8)
    layers: list[Layer] = [Image(height, width, channels)]
    before = channels
    for wide in WIDTHS:
        layers += [*_convolution(before, wide), *_convolution(wide, wide), MaxPool2d(2)]
        before = wide
    layers.append(Flatten())
    return Sequential(
        *layers,
        Linear(images.numbers_behind(layers, (height, width, channels)), HIDDEN),
        ReLU(),
        Dropout(dropout),
        Linear(HIDDEN, classes),
        **options,
    )


def _convolution(channels: int, width: int) -> list[Layer]:
    return [Conv2d(channels, width, 3, padding=1, bias=False), BatchNorm2d(width), ReLU()]
