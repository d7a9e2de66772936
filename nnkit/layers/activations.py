"""Activation functions as layers. Formulas and gradients: the table in nnkit/kernels/table.py.

A class names its row, `kind`. From that follow its name in `nnkit.activations`, that of its
function there, and what the command line offers; from `__all__`, that it is a name of `nnkit` and
may be in a checkpoint.

Every one has the limits of its formula at ±inf, where the formula itself may be inf * 0, and NaN
only where it is given NaN.
"""

from __future__ import annotations

from numbers import Real
from typing import ClassVar

from nnkit.backends import Array
from nnkit.given.meanings import ANY, BOUNDED, ONE_SIDED, PROBABILITIES, UNCHANGED
from nnkit.given.options import flag, number
from nnkit.kernels.table import ACTIVATIONS
from nnkit.layers.base import Layer

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "Activation",
    "Exponential",
    "HardSigmoid",
    "Identity",
    "LeakyReLU",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Softsign",
    "Step",
    "Swish",
    "Tanh",
]


class Activation(Layer):
    """An elementwise function ``y = f(x)`` of any shape, with ``dx = dy * f'``.

    A subclass says which: ``class ReLU(Activation, kind="relu")``. Both passes are operations of
    the backend, so that it is capturable unless it writes a pass of its own.
    """

    kind: str
    """Its row in the table."""
    alpha = 0.0
    """The number `a` in its formula, where there is one."""
    hidden: ClassVar[bool] = True
    """Whether it is offered for hidden layers; without a gradient it is not."""

    def __init_subclass__(cls, kind: str | None = None, hidden: bool = True) -> None:
        if kind is not None:
            if kind not in ACTIVATIONS:
                raise ValueError(f"{cls.__name__}: the table of activations has no row {kind!r}")
            cls.kind = kind
            cls.hidden = hidden and ACTIVATIONS[kind].gradient is not None
            if "capturable" not in cls.__dict__:
                passes = cls.forward, cls.backward
                cls.capturable = passes == (Activation.forward, Activation.backward)
        super().__init_subclass__()

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


class Identity(Activation, kind="identity", hidden=False):
    """``y = x``, the output activation of regression."""

    gives = UNCHANGED


class Sigmoid(Activation, kind="sigmoid"):
    """``y = 1 / (1 + exp(-x))``, ``dx = dy y (1 - y)``; exactly 0 and 1 at the extremes."""

    gives = PROBABILITIES


class Tanh(Activation, kind="tanh"):
    """``y = tanh(x)``, ``dx = dy (1 - y^2)``."""

    gives = BOUNDED


class ReLU(Activation, kind="relu"):
    """``y = max(x, 0)``, ``dx = dy`` where x > 0, else 0: the gradient at the kink is 0."""

    gives = ONE_SIDED


class Step(Activation, kind="step"):
    """The perceptron's ``y = 1`` where x > 0, else 0.

    Forward only: `backward` raises ValueError.
    """


class LeakyReLU(Activation, kind="leaky_relu"):
    """``y = x`` where x > 0, else ``alpha x``; the gradient at the kink is alpha.

    Maas et al. 2013. `alpha` is positive; 0.01 is PyTorch's default (negative_slope), Keras's is
    0.3. A slope that is learned: `PReLU`.
    """

    gives = ANY
    options: ClassVar = ("alpha",)
    alpha: float = number(above=0, hint=(Real, "for 0 use ReLU()"))

    def __init__(self, alpha: float = 0.01) -> None:
        self.alpha = alpha


class ELU(Activation, kind="elu"):
    """``y = x`` where x > 0, else ``alpha (exp(x) - 1)``, which falls to -alpha.

    Clevert et al. 2016. `alpha` is positive, 1 by default as in PyTorch and Keras. With another
    there is a kink at 0, where the gradient is alpha, as in PyTorch.
    """

    gives = ONE_SIDED
    options: ClassVar = ("alpha",)
    alpha: float = number(above=0)

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha


class SELU(Activation, kind="selu"):
    """``y = scale x`` where x > 0, else ``scale alpha (exp(x) - 1)``.

    Klambauer et al. 2017: with scale 1.0507 and alpha 1.6733 and LeCun's initial weights, which
    `Linear` takes in front of it, activations keep mean 0 and variance 1. The gradient at the kink
    is scale alpha = 1.7581, as in PyTorch. `ELU` has an alpha to choose.
    """

    gives = ONE_SIDED


class GELU(Activation, kind="gelu"):
    """``y = x Phi(x)``, with the normal distribution function Phi.

    Hendrycks & Gimpel 2016. By default the exact form, ``x (1 + erf(x / sqrt(2))) / 2``, as in
    PyTorch and Keras. With `approximate` it is
    ``x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2``: PyTorch's ``approximate="tanh"``, Keras's
    ``approximate=True``, and what GPT-2 was trained with.
    """

    gives = ONE_SIDED
    options: ClassVar = ("approximate",)
    approximate: bool = flag()

    def __init__(self, approximate: bool = False) -> None:
        self.approximate = approximate
        self.kind = "gelu_tanh" if self.approximate else "gelu"


class Softplus(Activation, kind="softplus"):
    """``y = log(1 + exp(x))``, a smooth ReLU (Dugas et al. 2001).

    As in Keras; PyTorch's is x itself above 20, which is the same to 2e-9.
    """

    gives = ONE_SIDED


class Softsign(Activation, kind="softsign"):
    """``y = x / (1 + |x|)``, ``dx = dy (1 - |y|)^2`` (Bergstra et al. 2009)."""

    gives = BOUNDED


class SiLU(Activation, kind="silu"):
    """``y = x sigmoid(x)``, also called swish.

    Hendrycks & Gimpel 2016; Elfwing et al. 2018; Ramachandran et al. 2017, whose swish
    ``x sigmoid(beta x)`` has beta = 1 here, as in PyTorch and Keras.
    """

    gives = ONE_SIDED


Swish = SiLU


class HardSigmoid(Activation, kind="hard_sigmoid"):
    """``y = min(max(x + 3, 0), 6) / 6``; the gradient at both kinks is 0.

    As in PyTorch and Keras 3. Keras 1 and 2 had ``min(max(0.2 x + 0.5, 0), 1)``, which is this of
    1.2 x: multiply the weights in front of it by 1.2.
    """

    gives = PROBABILITIES


class Exponential(Activation, kind="exponential", hidden=False):
    """``y = exp(x)``, ``dx = dy y``; infinite above 88.7 in float32, 709.8 in float64."""

    gives = ONE_SIDED
