"""A linear layer and its activation, carried out as one fused operation."""

from __future__ import annotations

from nnkit.backends import Array
from nnkit.kernels.table import ACTIVATIONS
from nnkit.layers.activations import Activation
from nnkit.layers.base import Layer
from nnkit.layers.linear import Linear


class LinearActivation(Layer):
    """``y = f(x @ W + b)``: what `Sequential` runs for a `Linear` followed by an activation."""

    def __init__(self, linear: Linear, activation: Activation) -> None:
        self.linear = linear
        self.activation = activation

    def sublayers(self) -> list[Layer]:
        """Return the two layers it stands for."""
        return [self.linear, self.activation]

    def forward(self, x: Array) -> Array:
        """z = x @ W + b, y = f(z); z shares y's memory unless the gradient needs it."""
        linear, kind, alpha = self.linear, self.activation.kind, self.activation.alpha
        shape = (len(x), linear.out_features)
        self.x = x
        y = self.new("y", shape)
        z = y if ACTIVATIONS[kind].saved == "y" else self.new("z", shape)
        self.saved = z
        bias = None if linear.b is None else linear.b.value
        self.backend.linear_forward(kind, x, linear.W.value, bias, y, z, alpha)
        return y

    def backward(self, dy: Array) -> Array:
        """dz = dy * f'(z), dW = x.T @ dz, db = sum of dz over rows, dx = dz @ W.T."""
        linear, kind, alpha = self.linear, self.activation.kind, self.activation.alpha
        dx = self.new("dx", self.x.shape) if self.input_gradient else None
        self.backend.linear_backward(
            kind,
            dy,
            self.x,
            linear.W.value,
            self.saved,
            self.new("dz", dy.shape),
            linear.W.grad,
            None if linear.b is None else linear.b.grad,
            dx,
            alpha,
        )
        return dx


def fuse(layers: list[Layer]) -> list[Layer]:
    """Pair every `Linear` with the activation right behind it, where that can be trained."""
    plan: list[Layer] = []
    for layer in layers:
        previous = plan[-1] if plan else None
        if (
            isinstance(previous, Linear)
            and isinstance(layer, Activation)
            and ACTIVATIONS[layer.kind].gradient is not None
        ):
            plan[-1] = LinearActivation(previous, layer)
        else:
            plan.append(layer)
    return plan
