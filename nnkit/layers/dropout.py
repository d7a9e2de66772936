"""Dropout (Srivastava et al. 2014), inverted: scaled while training, nothing at evaluation."""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar

import numpy as np

from nnkit.backends import Array
from nnkit.given.meanings import UNCHANGED
from nnkit.given.options import number
from nnkit.layers.base import Layer


class Dropout(Layer):
    """While training, zero each element with probability p and scale the rest by 1 / (1 - p).

    The mask is recomputed in the backward pass from a counter-based generator, never stored, and
    is the same on every backend. Where ranks share a batch, it is that of the examples' places in
    the whole one. In evaluation mode ``y = x``.
    """

    gives = UNCHANGED
    options: ClassVar = ("p",)
    stochastic = True
    capturable = True
    p: float = number(least=0, below=1)

    def __init__(self, p: float = 0.5) -> None:
        self.p = p
        self._key = 0
        self.counters: Array = np.zeros(3, np.int64)

    def draw_from(self, key: int, counters: Array) -> None:
        """Draw masks from this 64-bit key and the model's counters (see `Backend.dropout`)."""
        self._key, self.counters = key, counters

    def __getstate__(self) -> dict[str, Any]:
        there = self._backend is not None and self._backend.owns(self.counters)
        counters = self.backend.to_numpy(self.counters) if there else self.counters
        return super().__getstate__() | {"counters": counters.copy()}

    def forward(self, x: Array) -> Array:
        """y = x * mask / (1 - p) while training, otherwise x."""
        self._active = self.training and self.p > 0
        return self._mask(x, "y")

    def backward(self, dy: Array) -> Array:
        """dx = dy * the same mask / (1 - p)."""
        return self._mask(dy, "dx")

    def _mask(self, x: Array, name: str) -> Array:
        if not self._active:
            return x
        self.counters = self.backend.asarray(self.counters)
        out = self.new(name, x.shape)
        self._drop(x, out)
        return out

    @property
    def _before(self) -> int:
        """Examples of the batch in front of ours, which other ranks have."""
        return 0 if self.share is None else self.share.first

    def _drop(self, x: Array, out: Array) -> None:
        first = self._before * prod(x.shape[1:])
        self.backend.dropout(x, self.p, self._key, self.counters, out, first)


class Dropout2d(Dropout):
    """While training, zero each channel of an image with probability p, scale the others.

    x is (n, height, width, channels). Neighbouring pixels tell much the same, so that single ones
    would not be missed; a channel is (Tompson et al. 2015). Otherwise it is as `Dropout`.

    Parameters
    ----------
    p
        Probability, at least 0 and below 1.
    """

    options: ClassVar = ("p",)
    capturable = True

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """(height, width, channels) as it is."""
        if len(shape) != 3:
            raise ValueError(
                f"{self!r} takes (height, width, channels), not shape {shape}; Dropout takes any"
            )
        return shape

    def _drop(self, x: Array, out: Array) -> None:
        n, height, width, channels = x.shape
        x, out = (array.reshape(n, height * width, channels) for array in (x, out))
        self.backend.channel_dropout(x, self.p, self._key, self.counters, out, self._before)
