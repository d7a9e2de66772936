"""A linear layer and its activation, carried out as one fused operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnkit.backends import Array
from nnkit.kernels.table import ACTIVATIONS
from nnkit.layers.activations import Activation

if TYPE_CHECKING:
    from nnkit.layers.linear import Linear


class LinearActivation:
    """``y = f(x @ W + b)``: what is carried out for a `Linear` and the activation behind it."""

    def __init__(self, linear: Linear, activation: Activation) -> None:
        self.linear = linear
        self.activation = activation

    @property
    def input_gradient(self) -> bool:
        """Whether `backward` must return dx."""
        return self.linear.input_gradient

    @input_gradient.setter
    def input_gradient(self, wanted: bool) -> None:
        self.linear.input_gradient = wanted

    def forward(self, x: Array) -> Array:
        """z = x @ W + b, y = f(z); z shares y's memory unless the gradient needs it."""
        linear, kind, alpha = self.linear, self.activation.kind, float(self.activation.alpha)
        shape = (len(x), linear.out_features)
        y = linear.new("y", shape)
        z = y if ACTIVATIONS[kind].saved == "y" else linear.new("z", shape)
        linear.x, self.activation.saved = x, z
        bias = None if linear.b is None else linear.b.value
        linear.backend.linear_forward(kind, x, linear.W.value, bias, y, z, alpha)
        return y

    def backward(self, dy: Array) -> Array:
        """dz = dy * f'(z), dW = x.T @ dz, db = sum of dz over rows, dx = dz @ W.T."""
        linear, kind, alpha = self.linear, self.activation.kind, float(self.activation.alpha)
        dx = linear.new("dx", linear.x.shape) if linear.input_gradient else None
        linear.backend.linear_backward(
            kind,
            dy,
            linear.x,
            linear.W.value,
            self.activation.saved,
            linear.new("dz", dy.shape),
            linear.W.grad,
            None if linear.b is None else linear.b.grad,
            dx,
            alpha,
        )
        return dx
