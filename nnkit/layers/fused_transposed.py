"""A transposed convolution and the activation behind it, carried out as one step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnkit.backends import Array
from nnkit.kernels.table import ACTIVATIONS
from nnkit.layers.activations import Activation
from nnkit.layers.fused import Fused

if TYPE_CHECKING:
    from nnkit.layers.transposed import ConvTranspose2d


class TransposedActivation(Fused):
    """``y = f(z + b)``, z what a `ConvTranspose2d` makes of x, with b and f in one pass."""

    def __init__(self, transposed: ConvTranspose2d, activation: Activation) -> None:
        super().__init__(transposed)
        self.transposed, self.activation = transposed, activation

    def forward(self, x: Array) -> Array:
        """z + b and y = f(z + b); they share their memory unless the gradient needs the first."""
        layer, kind, alpha = self.transposed, self.activation.kind, float(self.activation.alpha)
        in_place = ACTIVATIONS[kind].saved == "y"
        z = layer.spread(x, "y" if in_place else "z")
        y = z if in_place else layer.new("y", z.shape)
        self.activation.saved = z
        bias = None if layer.b is None else layer.b.value
        layer.backend.bias_activation(kind, layer.rows(z), bias, layer.rows(y), alpha)
        return y

    def backward(self, dy: Array) -> Array:
        """dz = dy * f'(z) and db = its sum over the pixels; the gradients of W and x from dz."""
        layer, kind, alpha = self.transposed, self.activation.kind, float(self.activation.alpha)
        dz = layer.new("dz", dy.shape)
        db = None if layer.b is None else layer.b.grad
        saved = layer.rows(self.activation.saved)
        rows = layer.rows(dy), saved, layer.rows(dz)
        layer.backend.bias_activation_backward(kind, *rows, db, alpha)
        return layer.gradients(dz)
