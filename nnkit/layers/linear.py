"""The fully connected (affine) layer."""

from __future__ import annotations

from typing import Any, ClassVar

from nnkit.backends import Array
from nnkit.given.meanings import ANY
from nnkit.given.options import flag, integer
from nnkit.kernels.table import ACTIVATIONS
from nnkit.layers.activations import Activation
from nnkit.layers.base import Layer, Step
from nnkit.layers.fused import LinearActivation
from nnkit.layers.weighted import Weighted
from nnkit.parameters import Parameter


class Linear(Weighted):
    """``y = x @ W + b`` with x (n, in_features), W (in_features, out_features), b (out_features,).

    Parameters
    ----------
    in_features, out_features
        Widths, at least 1.
    bias
        Whether to add b.
    init
        Initial W: a name or function of `nnkit.initializers` such as "he", a function of
        (generator, shape), or an array. None takes He before ReLU and Xavier otherwise. b starts at
        zero.

    Notes
    -----
    Its gradients, for dy (n, out_features): ``dW = x.T @ dy``, ``db = sum of dy over rows``,
    ``dx = dy @ W.T``.
    """

    gives = ANY
    capturable = True
    options: ClassVar = ("in_features", "out_features", "bias")
    in_features: int = integer(least=1)
    out_features: int = integer(least=1)
    bias: bool = flag()

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, init: Any = None
    ) -> None:
        self.in_features = in_features
        self.out_features = out_features
        self.bias = bias
        self.default_init = init is None
        self.W = Parameter(
            (self.in_features, self.out_features), "xavier" if init is None else init
        )
        self.b = Parameter((self.out_features,), "zeros") if self.bias else None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(in_features,)."""
        return (self.in_features,)

    def fused_with(self, behind: Layer) -> Step | None:
        """Be one operation with an activation that can be trained."""
        if isinstance(behind, Activation) and ACTIVATIONS[behind.kind].gradient is not None:
            return LinearActivation(self, behind)
        return None

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """(in_features,) to (out_features,)."""
        if shape != (self.in_features,):
            fitting = f"; write Linear({shape[0]}, {self.out_features})" if len(shape) == 1 else ""
            hint = "; put Flatten() in front of it" if len(shape) > 1 else fitting
            raise ValueError(
                f"{self!r} takes rows of {self.in_features} numbers, not of shape {shape}{hint}"
            )
        return (self.out_features,)

    def forward(self, x: Array) -> Array:
        """y = x @ W + b."""
        self.x = x
        self.y = y = self.new("y", (len(x), self.out_features))
        bias = None if self.b is None else self.b.value
        self.backend.linear_forward("identity", x, self.W.value, bias, y, y)
        return y

    def backward(self, dy: Array) -> Array:
        """dW = x.T @ dy, db = sum of dy over rows, dx = dy @ W.T."""
        dx = self.new("dx", self.x.shape) if self.input_gradient else None
        db = None if self.b is None else self.b.grad
        self.backend.linear_backward(
            "identity", dy, self.x, self.W.value, self.y, dy, self.W.grad, db, dx
        )
        return dx
