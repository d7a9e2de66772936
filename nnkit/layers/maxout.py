"""Maxout: the largest of several linear functions (Goodfellow et al. 2013)."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import numpy as np

from nnkit import initializers
from nnkit.backends import Array
from nnkit.given.meanings import ANY
from nnkit.given.options import integer
from nnkit.initializers import Initializer
from nnkit.layers.base import Layer
from nnkit.parameters import Parameter


class Maxout(Layer):
    """``y_j = max over k of (x @ W_k + b_k)_j``: a linear layer and its activation in one.

    Parameters
    ----------
    in_features, out_features
        Widths, at least 1.
    pieces
        Linear functions for each output, at least 2. Two can learn ReLU and the absolute value.
    init
        Initial W_k, each drawn by itself; see `Linear`. None takes Xavier. b starts at zero.

    Notes
    -----
    W is (in_features, pieces * out_features), the pieces side by side. Backward, dy goes to the
    largest piece, the first of equals; then the gradients are those of `Linear`.
    """

    gives = ANY
    capturable = True
    options: ClassVar = ("in_features", "out_features", "pieces")
    in_features: int = integer(least=1)
    out_features: int = integer(least=1)
    pieces: int = integer(least=2)

    def __init__(
        self, in_features: int, out_features: int, pieces: int = 2, init: Any = None
    ) -> None:
        self.in_features, self.out_features = in_features, out_features
        self.pieces = pieces
        width = self.pieces * self.out_features
        one = initializers.get("xavier" if init is None else init)
        self.weight = Parameter((self.in_features, width), partial(_side_by_side, one, self.pieces))
        self.bias = Parameter((width,), "zeros")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(in_features,)."""
        return (self.in_features,)

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """(in_features,) to (out_features,)."""
        if shape != (self.in_features,):
            hint = "; put Flatten() in front of it" if len(shape) > 1 else ""
            raise ValueError(
                f"{self!r} takes rows of {self.in_features} numbers, not of shape {shape}{hint}"
            )
        return (self.out_features,)

    def forward(self, x: Array) -> Array:
        """z = x @ W, y = the largest piece of z + b."""
        self.x = x
        z = self.new("z", (len(x), self.pieces * self.out_features))
        y = self.new("y", (len(x), self.out_features))
        self.piece = self.new("piece", y.shape, np.int32)
        self.backend.matmul(x, self.weight.value, z)
        self.backend.maxout(z, self.bias.value, y, self.piece)
        return y

    def backward(self, dy: Array) -> Array:
        """dz = dy at the largest piece, else 0; the rest as in `Linear`."""
        dz = self.new("dz", (len(dy), self.pieces * self.out_features))
        self.backend.maxout_backward(dy, self.piece, dz)
        self.backend.bias_gradient(dz, self.bias.grad)
        self.backend.matmul(self.x.T, dz, self.weight.grad)
        if not self.input_gradient:
            return None
        return self.backend.matmul(dz, self.weight.value.T, self.new("dx", self.x.shape))


def _side_by_side(
    init: Initializer, pieces: int, rng: np.random.Generator, shape: tuple[int, ...]
) -> np.ndarray[Any, Any]:
    """Draw the matrix of each piece by itself, so that `init` sees the true fan-in and fan-out."""
    part = shape[0], shape[1] // pieces
    return np.concatenate([init(rng, part) for _ in range(pieces)], axis=1)
