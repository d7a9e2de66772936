"""The residual network of 20 layers for small images (He et al. 2015)."""

from __future__ import annotations

from typing import Any

from nnkit.given.options import integer
from nnkit.layers import (
    BatchNorm2d,
    Conv2d,
    GlobalAvgPool2d,
    Image,
    Layer,
    Linear,
    ReLU,
    Residual,
    Sequential,
)
from nnkit.models import images

WIDTHS = 16, 32, 64
"""Channels of the three stages, twice as many where an image has half the sides."""

BLOCKS = 3
"""Blocks a stage: with two layers each, the first and the last one, 6 * 3 + 2 = 20 layers."""


@images.network
def resnet20(image: tuple[int, ...] = (32, 32, 3), classes: int = 10, **options: Any) -> Sequential:
    """ResNet-20: nine residual blocks of two convolutions 3x3, and the mean of each channel.

    272,474 parameters for (32, 32, 3), the paper's 0.27 million::

        (32, 32, 3) -> conv 16 -> 3 blocks of 16 (32, 32, 16) -> 3 blocks of 32 (16, 16, 32)
        -> 3 blocks of 64 (8, 8, 64) -> mean 64 -> 10

    Parameters
    ----------
    image
        (height, width, channels), or (height, width) for one channel, of any size.
    classes
        Number of logits.
    options
        For `nnkit.Sequential`: seed, dtype, backend, fuse.

    Notes
    -----
    He, Zhang, Ren & Sun 2015, "Deep residual learning for image recognition", 4.2. Where a block
    halves the image and doubles the channels, x goes past it through a convolution 1x1, the paper's
    option B: made of layers that are there, and trained. Option A, which the paper takes for small
    images, leaves out every other pixel and fills up with channels of zeros; it has 2,752
    parameters less, and the paper finds B slightly better where it compares them (table 3).
    """
    height, width, channels = images.checked("resnet20", image, classes, least=1)
    layers: list[Layer] = [*_convolution(channels, WIDTHS[0]), ReLU()]
    before = WIDTHS[0]
    for wide in WIDTHS:
        for _ in range(BLOCKS):
            layers += _block(before, wide, options)
            before = wide
    return Sequential(
        Image(height, width, channels),
        *layers,
        GlobalAvgPool2d(),
        Linear(before, classes),
        **options,
    )


def _block(channels: int, width: int, options: dict[str, Any]) -> list[Layer]:
    """``relu(f(x) + x)``; where the width grows, images of half the sides."""
    stride, shortcut = 1, None
    if width != channels:
        past = _convolution(channels, width, 1, 2)
        stride, shortcut = 2, Sequential(*past, **_seeded(options, width))
    through = [
        *_convolution(channels, width, 3, stride),
        ReLU(),
        *_convolution(width, width),
    ]
    return [Residual(*through, shortcut=shortcut), ReLU()]


def _seeded(options: dict[str, Any], width: int) -> dict[str, Any]:
    """Options of a model inside: its weights are others than those that the same seed begins with.

    Without a seed each model draws one of its own.
    """
    if options.get("seed") is None:
        return options
    return {**options, "seed": integer().checked("Sequential: seed", options["seed"]) + width}


def _convolution(channels: int, width: int, size: int = 3, stride: int = 1) -> list[Layer]:
    """A convolution, which needs no bias, and its normalisation."""
    convolution = Conv2d(channels, width, size, stride, padding=size // 2, bias=False)
    return [convolution, BatchNorm2d(width)]
