"""The texts' first convolutional network."""

from __future__ import annotations

from typing import Any

from nnkit.layers import Conv2d, Flatten, Image, Linear, MaxPool2d, ReLU, Sequential
from nnkit.models import images


@images.network
def simple_conv(
    image: tuple[int, ...] = (28, 28, 1), classes: int = 10, **options: Any
) -> Sequential:
    """One convolution 5x5, one pooling, and two layers behind them.

    433,890 parameters for (28, 28, 1)::

        (28, 28, 1) -> conv 30 (24, 24, 30) -> pool (12, 12, 30) -> 100 -> 10

    Parameters
    ----------
    image
        (height, width, channels), or (height, width) for one channel; sides of 6 pixels at least.
    classes
        Number of logits.
    options
        For `nnkit.Sequential`: seed, dtype, backend, fuse.

    Notes
    -----
    "SimpleConvNet" of Saito, Deep Learning from Scratch (O'Reilly Japan 2016), chapter 7.
    """
    height, width, channels = images.checked("simple_conv", image, classes, least=6)
    layers = [
        Image(height, width, channels),
        Conv2d(channels, 30, 5),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
    ]
    return Sequential(
        *layers,
        Linear(images.numbers_behind(layers, (height, width, channels)), 100),
        ReLU(),
        Linear(100, classes),
        **options,
    )
