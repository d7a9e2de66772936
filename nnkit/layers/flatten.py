"""Images to rows of numbers."""

from __future__ import annotations

from math import prod

from nnkit.backends import Array
from nnkit.given.meanings import UNCHANGED
from nnkit.layers.base import Layer


class Flatten(Layer):
    """Reshape (n, a, b, ...) to (n, a * b * ...)."""

    gives = UNCHANGED
    capturable = True

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """(a, b, ...) to (a * b * ...,)."""
        return (prod(shape),)

    def forward(self, x: Array) -> Array:
        """One row per example."""
        self._shape = x.shape
        return x.reshape(len(x), prod(x.shape[1:]))

    def backward(self, dy: Array) -> Array:
        """Back to the input's shape."""
        return dy.reshape(self._shape)
