"""What makes images of inputs: rows of pixels, and images whose channels come first."""

from __future__ import annotations

from math import isqrt, prod
from typing import ClassVar

from nnkit.backends import Array
from nnkit.given.meanings import UNCHANGED
from nnkit.given.options import integer
from nnkit.layers.base import Layer
from nnkit.layers.shapes import is_open


def as_image(layer: Layer, shape: tuple[int, ...], channels: int) -> tuple[int, int, int]:
    """The (height, width, channels) that an example of this shape has for a layer.

    Raises ValueError, with the remedy, for what are no images of so many channels.
    """
    if len(shape) == 3 and shape[2] == channels:
        return shape
    if len(shape) == 2 and channels == 1:
        return (*shape, 1)
    hint = ""
    if len(shape) == 3:
        more = ", ..." if "out_channels" in layer.options else ""
        hint = f"; write {type(layer).__name__}({shape[2]}{more})"
        if shape[0] == channels and not is_open(shape):
            hint = f"; put ChannelsLast() in front for shape ({channels}, height, width)"
    elif len(shape) == 2 and shape[1] == channels:
        hint = "; a single image is x[None]"
    elif len(shape) == 1:
        side = 0 if is_open(shape) else isqrt(shape[0] // channels)
        square = side and shape[0] == side * side * channels
        size = f"{side}, {side}" if square else "height, width"
        hint = f"; put Image({size}, {channels}) in front"
        if channels == 1 and not square:
            hint += ", or give a single image as x[None]"
    raise ValueError(f"{layer!r} takes (height, width, {channels}), not shape {shape}{hint}")


class Image(Layer):
    """Make images of rows: (n, height * width * channels) to (n, height, width, channels).

    The numbers are those of (height, width, channels) in C order. Images of that size pass as they
    are, those of one channel with or without an axis for it.

    Parameters
    ----------
    height, width, channels
        Size of an image, each at least 1.
    """

    gives = UNCHANGED
    capturable = True
    options: ClassVar = ("height", "width", "channels")
    height: int = integer(least=1)
    width: int = integer(least=1)
    channels: int = integer(least=1)

    def __init__(self, height: int, width: int, channels: int = 1) -> None:
        self.height, self.width, self.channels = height, width, channels

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(height, width, channels)."""
        return (self.height, self.width, self.channels)

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """(height, width, channels) of that, or of as many numbers."""
        image = self.input_shape
        if shape not in (image, (prod(image),)) and (*shape, 1) != image:
            hint = ""
            if shape == (self.channels, self.height, self.width):
                hint = "; put ChannelsLast() in its place"
            elif shape in ((self.width,), (self.width, self.channels)):
                hint = "; a single image is x[None]"
            raise ValueError(
                f"{self!r} takes {prod(image)} numbers or shape {image}, not shape {shape}{hint}"
            )
        return image

    def forward(self, x: Array) -> Array:
        """One image per row."""
        self._shape = x.shape
        return x.reshape(len(x), *self.input_shape)

    def backward(self, dy: Array) -> Array:
        """Back to the input's shape."""
        return dy.reshape(self._shape)


class ChannelsLast(Layer):
    """Take images as PyTorch has them: (n, c, height, width) to (n, height, width, c).

    In front of a network whose images come that way. (With one channel, or if x can be given as
    ``x.transpose(0, 2, 3, 1)``, it is not needed.)
    """

    gives = UNCHANGED
    capturable = True

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """(channels, height, width) to (height, width, channels)."""
        if len(shape) != 3:
            raise ValueError(f"{self!r} takes (channels, height, width), not shape {shape}")
        channels, height, width = shape
        return (height, width, channels)

    def forward(self, x: Array) -> Array:
        """The channels of each pixel side by side."""
        n, channels, height, width = x.shape
        y = self.new("y", (n, height, width, channels))
        pixels = height * width
        self.backend.transpose(x.reshape(n, channels, pixels), y.reshape(n, pixels, channels))
        return y

    def backward(self, dy: Array) -> Array:
        """The pixels of each channel side by side."""
        n, height, width, channels = dy.shape
        dx = self.new("dx", (n, channels, height, width))
        pixels = height * width
        self.backend.transpose(dy.reshape(n, pixels, channels), dx.reshape(n, channels, pixels))
        return dx
