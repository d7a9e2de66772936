"""The convolutional layer."""

from __future__ import annotations

from typing import Any, ClassVar

from nnkit.backends import Array
from nnkit.backends.contract import Window
from nnkit.given.meanings import ANY
from nnkit.given.options import flag, integer, pair
from nnkit.layers.base import Layer, Step
from nnkit.layers.fused_convolution import fused
from nnkit.layers.images import as_image
from nnkit.layers.shapes import HEIGHT, WIDTH
from nnkit.layers.weighted import Weighted
from nnkit.layers.windows import places, same, short
from nnkit.parameters import Parameter


class Conv2d(Weighted):
    """Convolution of images: ``y = x * W + b``, W sliding over x (as texts do: not mirrored).

    x is (n, height, width, in_channels), y (n, oh, ow, out_channels), with
    ``oh = (height + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1``. Each of y's
    numbers is a product of W with what W lies on: ``y[n, i, j] = sum of x[n, i stride + p dilation
    - padding, j stride + q dilation - padding] @ W[p, q] + b`` over p and q.

    Parameters
    ----------
    in_channels, out_channels
        Channels of x and of y, at least 1. With one channel x may be (n, height, width).
    kernel_size
        Height and width of the kernels: a number, or a pair.
    stride
        How far apart the places are that they are put on.
    padding
        Rows and columns of zeros around x: a number or a pair; "same" for as much as gives y the
        size of x (stride 1 only), "valid" for none.
    bias
        Whether to add b.
    init
        Initial W, as for `Linear`: a name, a function of (generator, shape), or an array. None
        takes He before ReLU and Xavier otherwise.
    groups
        Into so many groups the channels of x and of y are divided; each group of y is made of its
        group of x alone. With as many as in_channels it is a depthwise convolution.
    dilation
        How far apart the pixels are that a kernel sees.

    W has shape (height, width, in_channels / groups, out_channels), so that ``W.reshape(-1,
    out_channels)`` is the matrix of im2col.

    Raises ValueError for "same" with a stride, for groups that do not divide both numbers of
    channels, and for images of other channels or smaller than the kernel.

    Notes
    -----
    LeCun et al. 1998. Its gradients are convolutions too: dW that of x with dy, dx that of dy with
    the kernels turned by 180 degrees.
    """

    gives = ANY
    capturable = True
    options: ClassVar = (
        "in_channels",
        "out_channels",
        "kernel_size",
        "stride",
        "padding",
        "bias",
        "groups",
        "dilation",
    )
    in_channels: int = integer(least=1)
    out_channels: int = integer(least=1)
    kernel_size: Any = pair(least=1)
    stride: Any = pair(least=1)
    padding: Any = pair(least=0, words=("same", "valid"))
    bias: bool = flag()
    groups: int = integer(least=1)
    dilation: Any = pair(least=1)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        bias: bool = True,
        init: Any = None,
        groups: int = 1,
        dilation: int | tuple[int, int] = 1,
    ) -> None:
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.bias, self.groups, self.dilation = bias, groups, dilation
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ValueError(
                f"{self!r}: groups must divide in_channels and out_channels, so that each has as "
                "many of both"
            )
        if self.padding == "same" and self.stride != (1, 1):
            raise ValueError(
                f"{self!r}: padding 'same' goes with stride 1 only; with a stride give the padding "
                "as a number"
            )
        self.default_init = init is None
        shape = (*self.kernel_size, self.in_channels // self.groups, self.out_channels)
        self.W = Parameter(shape, "xavier" if init is None else init)
        self.b = Parameter((self.out_channels,), "zeros") if self.bias else None

    def __repr__(self) -> str:
        return short(self)

    def fused_with(self, behind: Layer) -> Step | None:
        """Be one operation with the activation, pooling or normalisation behind."""
        return fused(self, behind)

    @property
    def window(self) -> Window:
        """Where the kernels lie on an image."""
        return Window(self.kernel_size, self.stride, self.paddings[0], self.dilation)

    @property
    def paddings(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Padding (above, left) and (below, right)."""
        if self.padding == "same":
            return same(self.kernel_size, self.dilation)
        padding = (0, 0) if isinstance(self.padding, str) else self.padding
        return padding, padding

    @property
    def pattern(self) -> tuple[int, ...] | None:
        """(height, width, in_channels)."""
        return (HEIGHT, WIDTH, self.in_channels)

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """(height, width, in_channels) to (oh, ow, out_channels)."""
        height, width, _ = as_image(self, shape, self.in_channels)
        try:
            there = places((height, width), self.window, self.paddings[1])
        except ValueError as error:
            raise ValueError(f"{self!r}: {error}") from None
        return (*there, self.out_channels)

    def given(self, x: Array) -> Array:
        """Keep x, with its channel, for the backward pass."""
        self._shape = x.shape
        self.x = x if x.ndim == 4 else x[..., None]
        return self.x

    def forward(self, x: Array) -> Array:
        """y = x * W + b."""
        x = self.given(x)
        self.y = y = self.new("y", (len(x), *self.output_shape(x.shape[1:])))
        bias = None if self.b is None else self.b.value
        self.backend.convolution(
            "identity", x, self.W.value, bias, self.window, self.groups, None, y, None
        )
        return y

    def backward(self, dy: Array) -> Array:
        """Overwrite the gradients of W and b; return dx."""
        return self.gradients("identity", dy, self.y)

    def gradients(
        self, kind: str, dy: Array, y: Array, pool: Window | None = None, place: Array | None = None
    ) -> Array:
        """Do as `backward` for the activation and pooling behind it, too."""
        dx = self.new("dx", self.x.shape) if self.input_gradient else None
        db = None if self.b is None else self.b.grad
        own = self.x, self.W.value, self.window, self.groups
        self.backend.convolution_backward(kind, dy, *own, pool, y, place, self.W.grad, db, dx)
        return None if dx is None else dx.reshape(self._shape)
