"""The tables of activations and of losses: the kernels and the tests iterate over them.

To add an activation: a row here, one in ``nnkit/backends/numpy/activations.py``, one in
``kernels/numba/formulas.py``, a line in ``kernels/cuda/activations.cuh``, and the class that names
the row in ``nnkit/layers/activations.py``; docs/extending.md has an example. A loss of single
elements: the same in ``losses.py`` and ``losses.cu``, and the class in ``nnkit/losses.py``.
"""

from typing import Literal, NamedTuple


class Activation(NamedTuple):
    """One elementwise activation function."""

    code: int
    """The number by which compiled kernels know it."""
    saved: Literal["x", "y"]
    """What its gradient is computed from: its input or its output."""
    formula: str
    gradient: str | None
    """The derivative, in terms of what is saved; None where it cannot be trained through."""
    init: Literal["he", "lecun", "xavier"]
    """The initialisation that suits a linear layer in front of it."""


ACTIVATIONS = {
    "identity": Activation(0, "y", "x", "1", "xavier"),
    "sigmoid": Activation(1, "y", "1 / (1 + exp(-x))", "y (1 - y)", "xavier"),
    "tanh": Activation(2, "y", "tanh(x)", "1 - y^2", "xavier"),
    "relu": Activation(3, "y", "max(x, 0)", "1 if y > 0 else 0", "he"),
    "step": Activation(4, "y", "1 if x > 0 else 0", None, "xavier"),
    "leaky_relu": Activation(5, "y", "x if x > 0 else a x", "1 if y > 0 else a", "he"),
    "elu": Activation(6, "y", "x if x > 0 else a (exp(x) - 1)", "1 if y > 0 else y + a", "he"),
    "selu": Activation(
        7, "y", "s x if x > 0 else s a (exp(x) - 1)", "s if y > 0 else y + s a", "lecun"
    ),
    "gelu": Activation(8, "x", "x Phi(x)", "Phi(x) + x exp(-x^2 / 2) / sqrt(2 pi)", "he"),
    "gelu_tanh": Activation(
        9, "x", "x (1 + tanh(u)) / 2", "(1 + tanh(u)) / 2 + x u' (1 - tanh(u)^2) / 2", "he"
    ),
    "softplus": Activation(10, "y", "log(1 + exp(x))", "1 - exp(-y)", "he"),
    "softsign": Activation(11, "y", "x / (1 + |x|)", "(1 - |y|)^2", "xavier"),
    "silu": Activation(12, "x", "x sigmoid(x)", "s + x s (1 - s) with s = sigmoid(x)", "he"),
    "hard_sigmoid": Activation(
        13, "y", "min(max(x + 3, 0), 6) / 6", "1/6 if 0 < y < 1 else 0", "xavier"
    ),
    "exponential": Activation(14, "y", "exp(x)", "y", "xavier"),
}
"""The activations. `a` is the number `alpha` that the operations are given.

Phi is the normal distribution function, ``(1 + erf(x / sqrt(2))) / 2``, and
``u = sqrt(2 / pi) (x + 0.044715 x^3)``; SELU's a and s are below.
"""


def trainable(kind: str) -> Activation:
    """Return the row of an activation that has a gradient; ValueError for another."""
    if ACTIVATIONS[kind].gradient is None:
        raise ValueError(f"the activation {kind!r} has no gradient: it cannot be trained through")
    return ACTIVATIONS[kind]


SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946
"""Klambauer et al. 2017, equation 14: with these, mean 0 and variance 1 are a fixed point."""


class ElementwiseLoss(NamedTuple):
    """A loss of each output y against a target t of its own."""

    code: int
    """The number by which compiled kernels know it."""
    formula: str
    gradient: str
    """The derivative by y."""
    mean_over: Literal["elements", "rows"]
    """What the sum is divided by: the number of elements, or of rows."""
    threshold: float | None = None
    """An answer is right where ``(y > threshold) == (t > 0.5)``; None where none is counted."""


LOSSES = {
    "sigmoid_cross_entropy": ElementwiseLoss(
        0, "max(y, 0) - y t + log(1 + exp(-|y|))", "1 / (1 + exp(-y)) - t", "elements", 0.0
    ),
    "binary_cross_entropy": ElementwiseLoss(
        1,
        "-t log(y + a) - (1 - t) log(1 - y + a)",
        "(1 - t) / (1 - y + a) - t / (y + a)",
        "elements",
        0.5,
    ),
    "mean_squared_error": ElementwiseLoss(2, "(y - t)^2", "2 (y - t)", "elements"),
    "half_squared_error": ElementwiseLoss(3, "(y - t)^2 / 2", "y - t", "rows"),
    "hinge": ElementwiseLoss(4, "max(1 - t y, 0)", "-t if t y < 1 else 0", "elements", 0.0),
    "huber": ElementwiseLoss(
        5,
        "(y - t)^2 / 2 if |y - t| <= a else a (|y - t| - a / 2)",
        "min(max(y - t, -a), a)",
        "elements",
    ),
    "poisson": ElementwiseLoss(6, "exp(y) - t y", "exp(y) - t", "elements"),
}
"""The elementwise losses; `a` is the number that `Backend.elementwise_loss` is given."""
