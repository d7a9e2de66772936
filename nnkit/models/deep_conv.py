"""The texts' deep convolutional network."""

from __future__ import annotations

from typing import Any

from nnkit.layers import (
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

FRAME = 2
"""Padding of the fourth convolution: with it 14 pixels become 16, which are halved twice more."""


@images.network
def deep_conv(
    image: tuple[int, ...] = (28, 28, 1), classes: int = 10, dropout: float = 0.5, **options: Any
) -> Sequential:
    """Six convolutions 3x3 in three pairs, each with pooling, and two layers behind them.

    123,552 parameters for (28, 28, 1)::

        (28, 28, 1) -> conv 16 -> conv 16 -> pool (14, 14, 16) -> conv 32 -> conv 32 -> pool
        (8, 8, 32) -> conv 64 -> conv 64 -> pool (4, 4, 64) -> 50 -> dropout -> 10 -> dropout

    Parameters
    ----------
    image
        (height, width, channels), or (height, width) for one channel; sides of 4 pixels at least.
    classes
        Number of logits.
    dropout
        Fraction that is left out behind each of the last two layers in training: behind the logits,
        too, as in the text, so that the loss in training is far above the one in evaluation.
    options
        For `nnkit.Sequential`: seed, dtype, backend, fuse.

    Notes
    -----
    "DeepConvNet" of Saito, Deep Learning from Scratch (O'Reilly Japan 2016), chapter 8, with He's
    weights there as well.
    """
    height, width, channels = images.checked("deep_conv", image, classes, least=4)
    layers = [
        Image(height, width, channels),
        *_pair(channels, 16),
        *_pair(16, 32, FRAME),
        *_pair(32, 64),
        Flatten(),
    ]
    return Sequential(
        *layers,
        Linear(images.numbers_behind(layers, (height, width, channels)), 50),
        ReLU(),
        Dropout(dropout),
        Linear(50, classes),
        Dropout(dropout),
        **options,
    )


def _pair(channels: int, width: int, padding: int = 1) -> list[Layer]:
    """Two convolutions and a pooling."""
    return [
        Conv2d(channels, width, 3, padding=1),
        ReLU(),
        Conv2d(width, width, 3, padding=padding),
        ReLU(),
        MaxPool2d(2),
    ]
