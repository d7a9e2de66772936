"""The transposed convolution, which makes small images large."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import numpy as np

from nnkit.backends import Array
from nnkit.backends.contract import Window
from nnkit.given.meanings import ANY
from nnkit.given.options import flag, integer, pair
from nnkit.initializers import Initializer
from nnkit.kernels.table import ACTIVATIONS
from nnkit.layers.activations import Activation
from nnkit.layers.base import Layer, Step
from nnkit.layers.fused_transposed import TransposedActivation
from nnkit.layers.images import as_image
from nnkit.layers.shapes import HEIGHT, WIDTH
from nnkit.layers.weighted import Weighted
from nnkit.layers.windows import short
from nnkit.parameters import Parameter


class ConvTranspose2d(Weighted):
    """Transposed convolution: each pixel of x puts a kernel, times its numbers, onto y.

    x is (n, height, width, in_channels), y (n, oh, ow, out_channels), with
    ``oh = (height - 1) stride - 2 padding + kernel_size + output_padding``: the size of an image
    that a `Conv2d` with these options makes x's size of. ``y[n, i stride + p - padding, j stride +
    q - padding] += W[p, q] @ x[n, i, j]`` for all pixels (i, j) and p, q, and b is added.

    Parameters
    ----------
    in_channels, out_channels
        Channels of x and of y, at least 1. With one channel x may be (n, height, width).
    kernel_size
        Height and width of the kernels: a number, or a pair.
    stride
        How far apart two neighbours' kernels lie on y: so many times larger it is than x.
    padding
        Rows and columns that are cut off around y.
    output_padding
        Rows below and columns to the right that y has besides; less than stride.
    bias
        Whether to add b.
    init
        Initial W: a function of (generator, shape), an array, or a name, as for `Linear`. None
        takes He before ReLU and Xavier otherwise.

    W has shape (height, width, out_channels, in_channels): that of the `Conv2d` from y to x.
    PyTorch's weight (in, out, height, width) is ``W.transpose(3, 2, 0, 1)``.

    Raises ValueError for an output_padding that is not less than stride, and for images of other
    channels or of which nothing is left.

    Notes
    -----
    Dumoulin & Visin 2016, "A guide to convolution arithmetic for deep learning". Forward and
    backward are those of `Conv2d` in each other's place: y is the gradient of a convolution, dx the
    convolution of dy.
    """

    gives = ANY
    capturable = True
    options: ClassVar = (
        "in_channels",
        "out_channels",
        "kernel_size",
        "stride",
        "padding",
        "output_padding",
        "bias",
    )
    in_channels: int = integer(least=1)
    out_channels: int = integer(least=1)
    kernel_size: Any = pair(least=1)
    stride: Any = pair(least=1)
    padding: Any = pair(least=0)
    output_padding: Any = pair(least=0)
    bias: bool = flag()

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        output_padding: int | tuple[int, int] = 0,
        bias: bool = True,
        init: Any = None,
    ) -> None:
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.output_padding, self.bias = output_padding, bias
        if any(self.output_padding[i] >= self.stride[i] for i in (0, 1)):
            raise ValueError(
                f"{self!r}: output_padding must be less than stride; a larger stride makes larger "
                "images"
            )
        self.default_init = init is None
        shape = (*self.kernel_size, self.out_channels, self.in_channels)
        self.W = Parameter(shape, self.initializer("xavier" if init is None else init))
        self.b = Parameter((self.out_channels,), "zeros") if self.bias else None

    def __repr__(self) -> str:
        return short(self)

    def initializer(self, init: Any) -> Initializer:
        """Have a named one draw as for a layer from in to out channels, not the other way round."""
        found = super().initializer(init)
        return partial(_turned, found) if isinstance(init, str) else found

    @property
    def window(self) -> Window:
        """Where the kernels lie on y."""
        return Window(self.kernel_size, self.stride, self.padding)

    @property
    def pattern(self) -> tuple[int, ...] | None:
        """(height, width, in_channels)."""
        return (HEIGHT, WIDTH, self.in_channels)

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """(height, width, in_channels) to (oh, ow, out_channels)."""
        image = as_image(self, shape, self.in_channels)
        height, width = (self._large(image[i], i) for i in (0, 1))
        if height < 1 or width < 1:
            raise ValueError(
                f"{self!r} makes images of {height} x {width} of shape {shape}: less padding "
                "leaves more of them"
            )
        return (height, width, self.out_channels)

    def _large(self, size: int, axis: int) -> int:
        """Height (axis 0) or width (1) of y for that of x."""
        reach = (size - 1) * self.stride[axis] + self.kernel_size[axis]
        large: int = reach - 2 * self.padding[axis] + self.output_padding[axis]
        return large

    def fused_with(self, behind: Layer) -> Step | None:
        """Add the bias in one pass with the activation behind."""
        if isinstance(behind, Activation) and ACTIVATIONS[behind.kind].gradient is not None:
            return TransposedActivation(self, behind)
        return None

    def forward(self, x: Array) -> Array:
        """y = the gradient that x has by the input of a convolution, + b."""
        y = self.spread(x, "y")
        if self.b is not None:
            self.backend.bias_activation("identity", self.rows(y), self.b.value, self.rows(y))
        return y

    def backward(self, dy: Array) -> Array:
        """Overwrite the gradients of W and b; return dx."""
        if self.b is not None:
            self.backend.bias_gradient(self.rows(dy), self.b.grad)
        return self.gradients(dy)

    def rows(self, image: Array) -> Array:
        """The channels of each pixel of y as a row."""
        return image.reshape(-1, self.out_channels)

    def spread(self, x: Array, name: str) -> Array:
        """Keep x; return y without b, the array of that name."""
        self._shape = x.shape
        self.x = x = x if x.ndim == 4 else x[..., None]
        y = self.new(name, (len(x), *self.output_shape(x.shape[1:])))
        own = self.W.value, self.window, 1, None
        self.backend.convolution_backward("identity", x, y, *own, x, None, None, None, y)
        return y

    def gradients(self, dy: Array) -> Array:
        """Overwrite W's gradient; return dx = dy * W, the convolution."""
        x, own = self.x, (self.W.value, self.window, 1, None)
        self.backend.convolution_backward("identity", x, dy, *own, x, None, self.W.grad, None, None)
        if not self.input_gradient:
            return None
        dx = self.new("dx", x.shape)
        self.backend.convolution("identity", dy, self.W.value, None, self.window, 1, None, dx, None)
        return dx.reshape(self._shape)


def _turned(draw: Initializer, rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    height, width, outputs, inputs = shape
    return draw(rng, (height, width, inputs, outputs)).swapaxes(2, 3)
