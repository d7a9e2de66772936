"""ReLU with a learned slope (He et al. 2015, "Delving deep into rectifiers")."""

from __future__ import annotations

from typing import ClassVar

from nnkit import initializers
from nnkit.backends import Array
from nnkit.given.meanings import ANY
from nnkit.given.options import integer, number
from nnkit.layers.base import Layer
from nnkit.parameters import Parameter


class PReLU(Layer):
    """``y = x`` where x > 0, else ``slope x``; the gradient at the kink is the slope.

    Parameters
    ----------
    features
        Slopes to learn: 1 for all elements of x of any shape (PyTorch's default), or one for each
        column of x (n, features), as in Keras, and each channel of images (n, h, w, features).
    alpha
        Where each slope starts.

    Notes
    -----
    Backward: ``dx = dy`` where x > 0, else ``slope dy``; ``dslope`` is the sum of ``dy x`` over the
    elements that are not positive. The slope is called "weight" in checkpoints, as in PyTorch.
    Weight decay pulls it towards ReLU; He et al. train it without.
    """

    gives = ANY
    capturable = True
    options: ClassVar = ("features", "alpha")
    features: int = integer(least=1)
    alpha: float = number()

    def __init__(self, features: int = 1, alpha: float = 0.25) -> None:
        self.features = features
        self.alpha = alpha
        self.weight = Parameter((self.features,), initializers.constant(self.alpha))

    @property
    def suits(self) -> str:
        """He's initialiser, which is of the same paper."""
        return "he"

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The same shape, (..., features) where there are several slopes."""
        if self.features > 1 and shape[-1:] != (self.features,):
            own = f"write PReLU({shape[-1]}), or " if shape else "write "
            raise ValueError(
                f"{self!r} takes rows or pixels of {self.features} numbers, not of shape {shape}; "
                f"{own}PReLU() for one slope"
            )
        return shape

    def _rows(self, array: Array) -> Array:
        """A row for each pixel, where each of several slopes has a column."""
        return array.reshape(-1, self.features) if self.features > 1 else array

    def forward(self, x: Array) -> Array:
        """y = x where x > 0, else slope x."""
        self.x = x
        y = self.new("y", x.shape)
        self.backend.prelu(self._rows(x), self.weight.value, self._rows(y))
        return y

    def backward(self, dy: Array) -> Array:
        """dx = dy where x > 0, else slope dy; dslope = sum of dy x where x <= 0."""
        dx = self.new("dx", dy.shape)
        dy, x, given = self._rows(dy), self._rows(self.x), self._rows(dx)
        self.backend.prelu_backward(dy, x, self.weight.value, given, self.weight.grad)
        return dx
