"""A curve over a run of any length, of a bounded number of points."""

from __future__ import annotations

import time
from collections import deque
from math import nan

import numpy as np

from nnkit.play.wire import Array

MOST_POINTS = 400
"""Points kept; when there are more, every second one goes."""


class Curve:
    """Losses by step, spread evenly over the run so far."""

    def __init__(self) -> None:
        self._points: list[tuple[int, float, float]] = []
        self._apart = 1

    def wants(self, step: int) -> bool:
        """Whether there is no point near this step yet."""
        return not self._points or step >= self._points[-1][0] + self._apart

    def add(self, step: int, loss: float, test_loss: float) -> None:
        """Add a point, if it is wanted."""
        if self.wants(step):
            self._points.append((step, loss, test_loss))
        if len(self._points) > MOST_POINTS:
            self._points = self._points[::2]
            self._apart = max(2 * self._apart, step // MOST_POINTS)

    def arrays(self, step: int, loss: float, test_loss: float) -> dict[str, Array]:
        """The points by their names in a frame, float32, with the latest behind them."""
        latest = (step, loss, test_loss)
        points = [p for p in self._points if p[0] < step] + [latest]
        steps, losses, tests = zip(*points, strict=True)
        return {
            "curve_step": np.array(steps, np.float32),
            "curve_loss": np.array(losses, np.float32),
            "curve_test": np.array(tests, np.float32),
        }


class Speed:
    """Steps per second, over the last second."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def see(self, step: int) -> None:
        """Look at the clock after a step."""
        now = time.perf_counter()
        self._seen.append((now, step))
        while now - self._seen[0][0] > 1 and len(self._seen) > 2:
            self._seen.popleft()

    def value(self) -> float:
        """The speed; NaN where nothing has been seen."""
        if len(self._seen) < 2:
            return nan
        (before, first), (now, last) = self._seen[0], self._seen[-1]
        return (last - first) / max(now - before, 1e-9)

    def forget(self) -> None:
        """Begin anew, after a pause."""
        self._seen.clear()
