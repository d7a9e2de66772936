"""Pooling: each window of an image becomes one number of each channel."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from nnkit.backends import Array
from nnkit.backends.contract import Window
from nnkit.given.meanings import UNCHANGED
from nnkit.given.options import pair
from nnkit.layers.base import Layer
from nnkit.layers.windows import places, short

BYTE_PLACES = 256
"""Places of a window that a byte can tell apart."""


class _Pooling(Layer):
    """What the layers with windows below share."""

    gives = UNCHANGED
    options: ClassVar[tuple[str, ...]] = ("size", "stride", "padding")
    size: Any = pair(least=1)
    stride: Any = pair(least=1)
    padding: Any = pair(least=0)

    def __init__(
        self,
        size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        self.size = size
        self.stride = self.size if stride is None else stride
        self.padding = padding
        if any(2 * self.padding[i] > self.size[i] for i in (0, 1)):
            raise ValueError(
                f"{self!r}: the padding may be half the size at most, so that each window sees the "
                "image"
            )

    def __repr__(self) -> str:
        return short(self, ("stride",) if self.stride == self.size else ())

    @property
    def window(self) -> Window:
        """Where the windows lie on an image."""
        return Window(self.size, self.stride, self.padding)

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """(height, width, channels) to (oh, ow, channels)."""
        image = _image(self, shape)
        try:
            there = places(image, self.window, self.padding)
        except ValueError as error:
            raise ValueError(f"{self!r}: {error}") from None
        return (*there, shape[2])


def _image(layer: Layer, shape: tuple[int, ...]) -> tuple[int, int]:
    """Height and width; ValueError for what is no image."""
    if len(shape) != 3:
        sizes = {1: "height, width, channels", 2: ", ".join(map(str, shape))}.get(len(shape))
        hint = f"; put Image({sizes}) in front" if sizes else ""
        raise ValueError(f"{layer!r} takes (height, width, channels), not shape {shape}{hint}")
    return shape[0], shape[1]


class MaxPool2d(_Pooling):
    """The largest number of each window, for each channel: (n, h, w, c) to (n, oh, ow, c).

    ``oh = (h + 2 padding - size) // stride + 1``. NaN counts as largest.

    Parameters
    ----------
    size
        Height and width of the windows: a number, or a pair.
    stride
        How far apart the windows are; None: as far as they are large.
    padding
        Rows and columns around the image, which are never the largest; at most half the size.

    Notes
    -----
    The gradient goes to the largest, the first of equals, whose place is kept.
    """

    capturable = True
    largest: Array = None
    """The last output, where the layer was one operation with a convolution."""

    def forward(self, x: Array) -> Array:
        """y = the largest of each window."""
        self._shape = x.shape
        shape = (len(x), *self.output_shape(x.shape[1:]))
        y, self.place = self.new("y", shape), self.new("place", shape, self.place_dtype)
        self.backend.max_pool(x, self.window, y, self.place)
        return y

    def backward(self, dy: Array) -> Array:
        """dx = dy where the largest was, elsewhere 0."""
        dx = self.new("dx", self._shape)
        self.backend.max_pool_backward(dy, self.place, self.window, dx)
        return dx

    @property
    def fits_a_byte(self) -> bool:
        """Whether a byte holds any place within a window."""
        return bool(self.size[0] * self.size[1] <= BYTE_PLACES)

    @property
    def place_dtype(self) -> type:
        """What holds a place within a window."""
        return np.uint8 if self.fits_a_byte else np.int32


class AvgPool2d(_Pooling):
    """The mean of each window, for each channel: (n, h, w, c) to (n, oh, ow, c).

    ``oh = (h + 2 padding - size) // stride + 1``. Padding counts as zeros.

    Parameters
    ----------
    size
        Height and width of the windows: a number, or a pair.
    stride
        How far apart the windows are; None: as far as they are large.
    padding
        Rows and columns of zeros around the image; at most half the size.
    """

    capturable = True

    def forward(self, x: Array) -> Array:
        """y = the mean of each window."""
        self._shape = x.shape
        y = self.new("y", (len(x), *self.output_shape(x.shape[1:])))
        self.backend.average_pool(x, self.window, self.size[0] * self.size[1], y)
        return y

    def backward(self, dy: Array) -> Array:
        """dx = dy / size, of all windows that a pixel is in."""
        dx = self.new("dx", self._shape)
        self.backend.average_pool_backward(dy, self.window, self.size[0] * self.size[1], dx)
        return dx


class GlobalAvgPool2d(Layer):
    """The mean of each channel: (n, h, w, c) to rows (n, c) (Lin et al. 2013)."""

    gives = UNCHANGED
    capturable = True

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """(height, width, channels) to (channels,)."""
        _image(self, shape)
        return shape[2:]

    def forward(self, x: Array) -> Array:
        """y = the mean over height and width."""
        self._shape = n, height, width, channels = x.shape
        y = self.new("y", (n, channels))
        window = Window((height, width))
        self.backend.average_pool(x, window, height * width, y.reshape(n, 1, 1, channels))
        return y

    def backward(self, dy: Array) -> Array:
        """dx = dy / (height * width)."""
        n, height, width, channels = self._shape
        dx, window = self.new("dx", self._shape), Window((height, width))
        self.backend.average_pool_backward(
            dy.reshape(n, 1, 1, channels), window, height * width, dx
        )
        return dx


class Upsample2d(Layer):
    """Repeat each pixel: (n, h, w, c) to (n, scale h, scale w, c), the nearest neighbour.

    Parameters
    ----------
    scale
        How often, along height and width: a number, or a pair.
    """

    gives = UNCHANGED
    capturable = True
    options: ClassVar = ("scale",)
    scale: Any = pair(least=1)

    def __init__(self, scale: int | tuple[int, int]) -> None:
        self.scale = scale

    def __repr__(self) -> str:
        return short(self)

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """(height, width, channels) to (scale height, scale width, channels)."""
        height, width = _image(self, shape)
        return (height * self.scale[0], width * self.scale[1], shape[2])

    def forward(self, x: Array) -> Array:
        """y = each pixel of x again and again: what the sum over windows has as its gradient."""
        self._shape = x.shape
        y = self.new("y", (len(x), *self.output_shape(x.shape[1:])))
        self.backend.average_pool_backward(x, Window(self.scale, self.scale), 1, y)
        return y

    def backward(self, dy: Array) -> Array:
        """dx = the sum of dy over the copies."""
        dx = self.new("dx", self._shape)
        self.backend.average_pool(dy, Window(self.scale, self.scale), 1, dx)
        return dx
