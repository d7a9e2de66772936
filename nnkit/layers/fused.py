"""Layers that are carried out as one fused operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnkit.backends import Array
from nnkit.kernels.table import ACTIVATIONS
from nnkit.layers.activations import Activation
from nnkit.layers.base import Layer, Step

if TYPE_CHECKING:
    from nnkit.layers.linear import Linear


class Fused:
    """Several layers as one step, of which `first` is the first."""

    def __init__(self, first: Step) -> None:
        self.first = first

    @property
    def input_gradient(self) -> bool:
        """Whether `backward` must return dx."""
        return self.first.input_gradient

    @input_gradient.setter
    def input_gradient(self, wanted: bool) -> None:
        self.first.input_gradient = wanted

    def fused_with(self, behind: Layer) -> Step | None:
        """One operation for these layers and the one behind them, if there is one."""
        return None


class LinearActivation(Fused):
    """``y = f(x @ W + b)``: what is carried out for a `Linear` and the activation behind it."""

    def __init__(self, linear: Linear, activation: Activation) -> None:
        super().__init__(linear)
        self.linear = linear
        self.activation = activation

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
