"""A convolution and the batch normalisation behind it, which evaluation carries out as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnkit.backends import Array
from nnkit.backends.contract import Norm
from nnkit.dtypes import arithmetic
from nnkit.layers.base import Layer, Step
from nnkit.layers.fused import Fused
from nnkit.layers.fused_normalization import BatchNormReLU
from nnkit.layers.normalization import BatchNorm

if TYPE_CHECKING:
    from nnkit.layers.convolution import Conv2d


class ConvolutionNorm(Fused):
    """``y = norm(x * W + b)``, and a ReLU behind it, if there is one.

    In training these are two operations. In evaluation a normalisation is ``z * factor + rest``, so
    that it can be folded into the weights: ``W * factor`` and ``(b - mean) * factor + beta``
    (Jacob et al. 2018, section 3.2).
    """

    def __init__(
        self, convolution: Conv2d, norm: BatchNorm, behind: BatchNorm | BatchNormReLU
    ) -> None:
        super().__init__(convolution)
        self.convolution, self.norm, self.behind = convolution, norm, behind

    def fused_with(self, behind: Layer) -> Step | None:
        """Take a ReLU along."""
        step = self.behind.fused_with(behind)
        if isinstance(step, BatchNormReLU):
            return ConvolutionNorm(self.convolution, self.norm, step)
        return None

    def forward(self, x: Array) -> Array:
        """In evaluation by the folded weights; not where the normalisation alone is in it."""
        self.norm.folded_x = None if self.norm.training or self.convolution.training else x
        if self.norm.folded_x is None:
            return self.behind.forward(self.convolution.forward(x))
        layer, norm = self.convolution, self.norm
        x = layer.given(x)
        y = norm.new("folded", (len(x), *layer.output_shape(x.shape[1:])))
        kind = "relu" if isinstance(self.behind, BatchNormReLU) else "identity"
        own = *self._folded(), layer.window, layer.groups
        layer.backend.convolution(kind, x, *own, None, y, None)
        return y

    def _folded(self) -> tuple[Array, Array]:
        """Weights and bias: normalised as rows, the weights' without mean and beta."""
        layer, norm, backend = self.convolution, self.norm, self.convolution.backend
        o, dtype = layer.out_channels, layer.dtype
        zeros, mean = backend.zeros(o, dtype), backend.zeros(o, arithmetic(dtype))
        weight, bias = norm.new("weight", layer.W.shape), norm.new("bias", (o,))
        rows, row = layer.W.value.reshape(-1, o), zeros if layer.b is None else layer.b.value
        scale = Norm(norm.gamma.value, zeros, norm.eps)
        backend.batch_norm_inference(
            "identity", rows, scale, mean, norm.running_var, weight.reshape(-1, o)
        )
        backend.batch_norm_inference(
            *("identity", row.reshape(1, o), norm.norm, norm.running_mean, norm.running_var),
            bias.reshape(1, o),
        )
        return weight, bias

    def backward(self, dy: Array) -> Array:
        """As without folding; what evaluation did without is computed first."""
        if self.norm.folded_x is not None:
            with self.norm.in_mode(training=False):
                self.behind.forward(self.convolution.forward(self.norm.folded_x))
        return self.convolution.backward(self.behind.backward(dy))
