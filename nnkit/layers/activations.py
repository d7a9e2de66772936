"""Activation functions as layers. Formulas and gradients: the table in nnkit/kernels/table.py.

Every one has the limits of its formula at ±inf, where the formula itself may be inf * 0, and NaN
only where it is given NaN.
"""

from __future__ import annotations

from math import isfinite
from typing import Any, ClassVar

from nnkit.backends import Array
from nnkit.kernels.table import ACTIVATIONS
from nnkit.layers.base import Layer


class Activation(Layer):
    """An elementwise function ``y = f(x)`` of any shape, with ``dx = dy * f'``."""

    kind: str
    """Its row in the table."""
    alpha = 0.0
    """The number `a` in its formula, where there is one."""

    @property
    def suits(self) -> str:
        """Initialiser that suits a `Linear` right in front."""
        return ACTIVATIONS[self.kind].init

    def forward(self, x: Array) -> Array:
        """y = f(x)."""
        y = self.new("y", x.shape)
        self.backend.activation(self.kind, x, y, float(self.alpha))
        self.saved = x if ACTIVATIONS[self.kind].saved == "x" else y
        return y

    def backward(self, dy: Array) -> Array:
        """dx = dy * f'."""
        dx = self.new("dx", dy.shape)
        return self.backend.activation_backward(self.kind, dy, self.saved, dx, float(self.alpha))


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


class LeakyReLU(Activation):
    """``y = x`` where x > 0, else ``alpha x``; the gradient at the kink is alpha.

    Maas et al. 2013. `alpha` is positive; 0.01 is PyTorch's default (negative_slope), Keras's is
    0.3. A slope that is learned: `PReLU`.
    """

    kind = "leaky_relu"
    capturable = True
    options: ClassVar = ("alpha",)

    def __init__(self, alpha: float = 0.01) -> None:
        self.alpha = _positive(self, alpha, "; for 0 use ReLU()")


class ELU(Activation):
    """``y = x`` where x > 0, else ``alpha (exp(x) - 1)``, which falls to -alpha.

    Clevert et al. 2016. `alpha` is positive, 1 by default as in PyTorch and Keras. With another
    there is a kink at 0, where the gradient is alpha, as in PyTorch.
    """

    kind = "elu"
    capturable = True
    options: ClassVar = ("alpha",)

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = _positive(self, alpha)


class SELU(Activation):
    """``y = scale x`` where x > 0, else ``scale alpha (exp(x) - 1)``.

    Klambauer et al. 2017: with scale 1.0507 and alpha 1.6733 and LeCun's initial weights, which
    `Linear` takes in front of it, activations keep mean 0 and variance 1. The gradient at the kink
    is scale alpha = 1.7581, as in PyTorch. `ELU` has an alpha to choose.
    """

    kind = "selu"
    capturable = True


class GELU(Activation):
    """``y = x Phi(x)``, with the normal distribution function Phi.

    Hendrycks & Gimpel 2016. By default the exact form, ``x (1 + erf(x / sqrt(2))) / 2``, as in
    PyTorch and Keras. With `approximate` it is
    ``x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2``: PyTorch's ``approximate="tanh"``, Keras's
    ``approximate=True``, and what GPT-2 was trained with.
    """

    capturable = True
    options: ClassVar = ("approximate",)

    def __init__(self, approximate: bool = False) -> None:
        if not isinstance(approximate, bool):
            raise ValueError(
                f"GELU: approximate must be True (tanh form) or False, not {approximate!r}"
            )
        self.approximate = approximate
        self.kind = "gelu_tanh" if approximate else "gelu"


class Softplus(Activation):
    """``y = log(1 + exp(x))``, a smooth ReLU (Dugas et al. 2001).

    As in Keras; PyTorch's is x itself above 20, which is the same to 2e-9.
    """

    kind = "softplus"
    capturable = True


class Softsign(Activation):
    """``y = x / (1 + |x|)``, ``dx = dy (1 - |y|)^2`` (Bergstra et al. 2009)."""

    kind = "softsign"
    capturable = True


class SiLU(Activation):
    """``y = x sigmoid(x)``, also called swish.

    Hendrycks & Gimpel 2016; Elfwing et al. 2018; Ramachandran et al. 2017, whose swish
    ``x sigmoid(beta x)`` has beta = 1 here, as in PyTorch and Keras.
    """

    kind = "silu"
    capturable = True


Swish = SiLU


class HardSigmoid(Activation):
    """``y = min(max(x + 3, 0), 6) / 6``; the gradient at both kinks is 0.

    As in PyTorch and Keras 3. Keras 1 and 2 had ``min(max(0.2 x + 0.5, 0), 1)``, which is this of
    1.2 x: multiply the weights in front of it by 1.2.
    """

    kind = "hard_sigmoid"
    capturable = True


class Exponential(Activation):
    """``y = exp(x)``, ``dx = dy y``; infinite above 88.7 in float32, 709.8 in float64."""

    kind = "exponential"
    capturable = True


def _positive(layer: Activation, alpha: Any, hint: str = "") -> float:
    """Check the number, whose sign the gradient of the negative side relies on."""
    value = float(alpha)
    if not (value > 0 and isfinite(value)):
        raise ValueError(
            f"{type(layer).__name__}: alpha must be positive and finite, not {alpha!r}{hint}"
        )
    return value
