"""Curves of any length in a few hundred points."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Value = TypeVar("Value")

POINTS = 400
"""That a curve has at least, once there are so many values; and fewer than twice as many."""


class Curve:
    """Means of so many values each, 1, 2, 4 and so on, that the points stay few.

    A value is added in constant time, and nothing else is kept of it.
    """

    def __init__(self) -> None:
        self.each = 1
        """Values that a point is the mean of."""
        self._means = np.empty(0)
        self._rest = np.empty(0)
        """Values of the point that is not full yet."""

    def extend(self, values: Numbers) -> None:
        """Add values at the end."""
        new = np.concatenate([self._rest, values])
        whole = len(new) // self.each * self.each
        self._rest = new[whole:]
        means = new[:whole].reshape(-1, self.each).mean(axis=1)
        self._means = np.concatenate([self._means, means])
        while len(self._means) >= 2 * POINTS:
            even = len(self._means) // 2 * 2
            left = np.repeat(self._means[even:], self.each)
            self._means = self._means[:even].reshape(-1, 2).mean(axis=1)
            self._rest = np.concatenate([left, self._rest])
            self.each *= 2

    def points(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """How many values there were up to each point's end, (n,), and its mean, (n,)."""
        ends = self.each * np.arange(1, len(self._means) + 1)
        means = self._means
        if len(self._rest):
            ends = np.append(ends, self.each * len(means) + len(self._rest))
            means = np.append(means, self._rest.mean())
        return ends.astype(np.float32), means.astype(np.float32)


def thinned(values: list[Value], most: int = POINTS) -> tuple[list[int], list[Value]]:
    """Places, from 1, and values of at most so many, spread evenly, the last one with them."""
    step = -(-len(values) // most) if values else 1
    places = list(range(len(values) - 1, -1, -step))[::-1]
    return [i + 1 for i in places], [values[i] for i in places]
