"""Activation functions as layers. Formulas and gradients: the table in nnkit/kernels/table.py."""

from __future__ import annotations

from typing import ClassVar

from nnkit.backends import Array
from nnkit.kernels.table import ACTIVATIONS
from nnkit.layers.base import Layer


class Activation(Layer):
    """An elementwise function ``y = f(x)`` of any shape, with ``dx = dy * f'``."""

    kind: ClassVar[str]
    alpha = 0.0

    def forward(self, x: Array) -> Array:
        """y = f(x)."""
        y = self.new("y", x.shape)
        self.backend.activation(self.kind, x, y, self.alpha)
        self.saved = x if ACTIVATIONS[self.kind].saved == "x" else y
        return y

    def backward(self, dy: Array) -> Array:
        """dx = dy * f'."""
        dx = self.new("dx", dy.shape)
        return self.backend.activation_backward(self.kind, dy, self.saved, dx, self.alpha)


class Identity(Activation):
    """``y = x``, the output activation of regression."""

    kind = "identity"
    capturable = True


class Sigmoid(Activation):
    """``y = 1 / (1 + exp(-x))``, ``dx = dy y (1 - y)``; exactly 0 and 1 at the extremes."""

    kind = "sigmoid"
    capturable = True


class Tanh(Activation):
    """``y = tanh(x)``, ``dx = dy (1 - y^2)``."""

    kind = "tanh"
    capturable = True


class ReLU(Activation):
    """``y = max(x, 0)``, ``dx = dy`` where x > 0, else 0: the gradient at the kink is 0."""

    kind = "relu"
    capturable = True


class Step(Activation):
    """The perceptron's ``y = 1`` where x > 0, else 0.

    Forward only: `backward` raises ValueError.
    """

    kind = "step"
    capturable = True
