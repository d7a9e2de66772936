"""The largest, and the sum, of each window of an image."""

from __future__ import annotations

import numpy as np

from nnkit.backends.contract import Array, Out, Window
from nnkit.backends.numpy.windows import taps


def max_pool(x: Array, window: Window, y: Out, place: Out) -> None:
    begun = np.zeros(y.shape, bool)
    y[...], place[...] = 0, 0
    for (p, q), there, seen in taps(x.shape[1:3], window, y.shape[1:3]):
        here, largest = x[seen], y[there]
        better = (here > largest) | (np.isnan(here) & ~np.isnan(largest)) | ~begun[there]
        np.copyto(largest, here, where=better)
        np.copyto(place[there], p * window.size[1] + q, where=better)
        begun[there] = True


def max_pool_backward(dy: Array, place: Array, window: Window, dx: Out) -> None:
    dx[...] = 0
    for (p, q), there, seen in taps(dx.shape[1:3], window, dy.shape[1:3]):
        chosen = place[there] == p * window.size[1] + q
        dx[seen] += np.where(chosen, dy[there], 0)


def average_pool(x: Array, window: Window, divisor: float, y: Out) -> None:
    y[...] = 0
    for _, there, seen in taps(x.shape[1:3], window, y.shape[1:3]):
        y[there] += x[seen]
    y /= divisor


def average_pool_backward(dy: Array, window: Window, divisor: float, dx: Out) -> None:
    dx[...] = 0
    for _, there, seen in taps(dx.shape[1:3], window, dy.shape[1:3]):
        dx[seen] += dy[there] / dx.dtype.type(divisor)
