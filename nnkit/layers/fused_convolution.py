"""A convolution and what is behind it, carried out as one fused operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnkit.backends import Array
from nnkit.backends.contract import FUSED_WITH_CONVOLUTION
from nnkit.kernels.table import ACTIVATIONS
from nnkit.layers.activations import Activation
from nnkit.layers.base import Layer, Step
from nnkit.layers.folded import ConvolutionNorm
from nnkit.layers.fused import Fused
from nnkit.layers.normalization import BatchNorm
from nnkit.layers.pooling import MaxPool2d

if TYPE_CHECKING:
    from nnkit.layers.convolution import Conv2d


def fused(convolution: Conv2d, behind: Layer) -> Step | None:
    """One step for a convolution and the layer behind it, if there is one."""
    if isinstance(behind, Activation) and ACTIVATIONS[behind.kind].gradient is not None:
        return ConvolutionActivation(convolution, behind)
    if isinstance(behind, BatchNorm):
        return ConvolutionNorm(convolution, behind, behind)
    if isinstance(behind, MaxPool2d) and _goes_with(convolution, behind):
        return ConvolutionPooling(convolution, convolution, "identity", behind)
    return None


def _goes_with(convolution: Conv2d, pool: MaxPool2d) -> bool:
    """Whether a pooling can be one operation with a convolution.

    No two windows may see one place, so that each gradient has one place to go to. A depthwise
    convolution has kernels of its own, without pooling.
    """
    if 1 < convolution.groups == convolution.in_channels:
        return False
    apart = all(pool.stride[i] >= pool.size[i] for i in (0, 1))
    return apart and pool.padding == (0, 0) and pool.fits_a_byte


class ConvolutionActivation(Fused):
    """``y = f(x * W + b)`` for a `Conv2d` and an activation."""

    def __init__(self, convolution: Conv2d, activation: Activation) -> None:
        super().__init__(convolution)
        self.convolution, self.activation = convolution, activation

    def fused_with(self, behind: Layer) -> Step | None:
        """Be one operation with a pooling, too."""
        kind = self.activation.kind
        if not isinstance(behind, MaxPool2d) or not _goes_with(self.convolution, behind):
            return None
        if kind in FUSED_WITH_CONVOLUTION:
            return ConvolutionPooling(self, self.convolution, kind, behind)
        return None

    def forward(self, x: Array) -> Array:
        """z = x * W + b, y = f(z); z shares y's memory unless the gradient needs it."""
        layer, kind, alpha = self.convolution, self.activation.kind, float(self.activation.alpha)
        x = layer.given(x)
        shape = (len(x), *layer.output_shape(x.shape[1:]))
        y = layer.new("y", shape)
        z = y if ACTIVATIONS[kind].saved == "y" else layer.new("z", shape)
        self.activation.saved = z
        bias = None if layer.b is None else layer.b.value
        layer.backend.convolution_forward(
            kind, x, layer.W.value, bias, layer.window, layer.groups, y, z, alpha
        )
        return y

    def backward(self, dy: Array) -> Array:
        """dz = dy * f'(z), and the gradients of W, b and x from dz."""
        layer, kind, saved = self.convolution, self.activation.kind, self.activation.saved
        if kind in FUSED_WITH_CONVOLUTION:
            return layer.gradients(kind, dy, saved)
        dz = layer.new("dz", dy.shape)
        layer.backend.activation_backward(kind, dy, saved, dz, float(self.activation.alpha))
        return layer.gradients("identity", dz, saved)


class ConvolutionPooling(Fused):
    """``y = the largest of each window of f(x * W + b)``: the convolution's output is not kept.

    `before` is the step without pooling, which is taken where the pooling has been changed since to
    one that does not go with it. What the backward pass needs is kept by the layers.
    """

    def __init__(self, before: Step, convolution: Conv2d, kind: str, pool: MaxPool2d) -> None:
        super().__init__(convolution)
        self.before, self.convolution, self.kind, self.pool = before, convolution, kind, pool

    def forward(self, x: Array) -> Array:
        """y, and the place within its window that each of its numbers is from."""
        layer, pool = self.convolution, self.pool
        pool.largest = None
        if not _goes_with(layer, pool):
            return pool.forward(self.before.forward(x))
        x = layer.given(x)
        there = layer.output_shape(x.shape[1:])
        shape = (len(x), *pool.output_shape(there))
        y, place = layer.new("y", shape), layer.new("place", shape, pool.place_dtype)
        pool.largest, pool.place = y, place
        bias = None if layer.b is None else layer.b.value
        own = layer.window, layer.groups
        layer.backend.convolution(self.kind, x, layer.W.value, bias, *own, pool.window, y, place)
        return y

    def backward(self, dy: Array) -> Array:
        """The gradients of W, b and x, from those of the largest alone."""
        pool = self.pool
        if pool.largest is None:
            return self.before.backward(pool.backward(dy))
        return self.convolution.gradients(self.kind, dy, pool.largest, pool.window, pool.place)
