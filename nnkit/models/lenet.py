"""LeNet-5 (LeCun et al. 1998)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnkit import activations
from nnkit.given.names import find
from nnkit.layers import (
    AvgPool2d,
    Conv2d,
    Flatten,
    Image,
    Layer,
    Linear,
    MaxPool2d,
    Sequential,
)
from nnkit.models import images

ROOM = 12
"""Pixels a side from which on the second convolution needs no frame."""

POOLINGS: dict[str, Callable[[int], Layer]] = {"max": MaxPool2d, "average": AvgPool2d}


@images.network
def lenet(
    image: tuple[int, ...] = (28, 28, 1),
    classes: int = 10,
    activation: str = "relu",
    pooling: str = "max",
    **options: Any,
) -> Sequential:
    """LeNet-5: two convolutions 5x5 with pooling, and three layers behind them.

    61,706 parameters for (28, 28, 1)::

        (28, 28, 1) -> conv 6 -> pool (14, 14, 6) -> conv 16 -> pool (5, 5, 16) -> 120 -> 84 -> 10

    Parameters
    ----------
    image
        (height, width, channels), or (height, width) for one channel; sides of 4 pixels at least.
    classes
        Number of logits.
    activation
        A name of `nnkit.activations`, for behind each layer but the last.
    pooling
        "max" or "average".
    options
        For `nnkit.Sequential`: seed, dtype, backend, fuse.

    Notes
    -----
    LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition",
    II B. The original has tanh and averages: ``lenet(activation="tanh", pooling="average")``; its
    images are those of 28x28 in a frame of 2 pixels, which the first convolution has as padding
    here. Left out are what nobody does any more: trained factors in the pooling, a second
    convolution that sees some of its channels only, and outputs that are distances. Images of under
    12 pixels have a frame before the second convolution, too.
    """
    height, width, channels = images.checked("lenet", image, classes, least=4)
    pool = find(pooling, POOLINGS, "pooling")
    frame = 0 if min(height, width) >= ROOM else 2
    layers = [
        Image(height, width, channels),
        Conv2d(channels, 6, 5, padding=2),
        activations.get(activation),
        pool(2),
        Conv2d(6, 16, 5, padding=frame),
        activations.get(activation),
        pool(2),
        Flatten(),
    ]
    return Sequential(
        *layers,
        Linear(images.numbers_behind(layers, (height, width, channels)), 120),
        activations.get(activation),
        Linear(120, 84),
        activations.get(activation),
        Linear(84, classes),
        **options,
    )
