"""The table of activations: one row each; the kernels and the tests iterate over it.

To add an activation: a row here, a formula in ``nnkit/backends/numpy.py``, a line in
``kernels/numba/activations.py`` and a line in ``kernels/cuda/activations.cuh``.
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
    init: Literal["he", "xavier"]
    """The initialisation that suits a linear layer in front of it."""


ACTIVATIONS = {
    "identity": Activation(0, "y", "x", "1", "xavier"),
    "sigmoid": Activation(1, "y", "1 / (1 + exp(-x))", "y (1 - y)", "xavier"),
    "tanh": Activation(2, "y", "tanh(x)", "1 - y^2", "xavier"),
    "relu": Activation(3, "y", "max(x, 0)", "1 if y > 0 else 0", "he"),
    "step": Activation(4, "y", "1 if x > 0 else 0", None, "xavier"),
}
