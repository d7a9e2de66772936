"""Convolution and pooling in plain loops, one place of the output after the other.

They share nothing with the formulas of `nnkit.backends.numpy`, which they are there to test.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nnkit.backends.contract import Window

Pair = tuple[int, int]


def places(image: Pair, window: Window) -> Pair:
    """How many windows lie on an image with as much padding below and right as above and left."""
    found = []
    for axis in (0, 1):
        last = image[axis] + window.padding[axis] - window.dilation[axis] * (window.size[axis] - 1)
        found.append(len(range(-window.padding[axis], last, window.stride[axis])))
    return found[0], found[1]


def seen(image: Pair, window: Window, place: Pair) -> Iterator[tuple[int, int, int, int]]:
    """(p, q) of a window and the row and column of the image there, where that is inside."""
    for p in range(window.size[0]):
        for q in range(window.size[1]):
            row = place[0] * window.stride[0] - window.padding[0] + p * window.dilation[0]
            column = place[1] * window.stride[1] - window.padding[1] + q * window.dilation[1]
            if 0 <= row < image[0] and 0 <= column < image[1]:
                yield p, q, row, column


def channels(weight: Any, groups: int, k: int) -> slice:
    """Those of the input that channel k of the output is made of."""
    first = k // (weight.shape[3] // groups) * weight.shape[2]
    return slice(first, first + weight.shape[2])


def convolution(x: Any, weight: Any, window: Window, groups: int, there: Pair) -> Any:
    z = np.zeros((len(x), *there, weight.shape[3]))
    for i, j, k in np.ndindex(z.shape[1:]):
        part = channels(weight, groups, k)
        for p, q, row, column in seen(x.shape[1:3], window, (i, j)):
            z[:, i, j, k] += x[:, row, column, part] @ weight[p, q, :, k]
    return z


def convolution_backward(dz: Any, x: Any, weight: Any, window: Window, groups: int) -> Any:
    """Gradients of the weight, the bias and x."""
    dweight, dx = np.zeros(weight.shape), np.zeros(x.shape)
    for i, j, k in np.ndindex(dz.shape[1:]):
        part = channels(weight, groups, k)
        for p, q, row, column in seen(x.shape[1:3], window, (i, j)):
            dweight[p, q, :, k] += dz[:, i, j, k] @ x[:, row, column, part]
            dx[:, row, column, part] += np.outer(dz[:, i, j, k], weight[p, q, :, k])
    return dweight, dz.sum(axis=(0, 1, 2)), dx


def max_pool(x: Any, window: Window, there: Pair) -> tuple[Any, Any]:
    """The largest, NaN before all, and their numbers."""
    y = np.zeros((len(x), *there, x.shape[3]))
    number = np.zeros(y.shape, int)
    for n, i, j, k in np.ndindex(y.shape):
        best = None
        for p, q, row, column in seen(x.shape[1:3], window, (i, j)):
            value = x[n, row, column, k]
            if best is None or value > best or (np.isnan(value) and not np.isnan(best)):
                best, number[n, i, j, k] = value, p * window.size[1] + q
        y[n, i, j, k] = 0 if best is None else best
    return y, number


def max_pool_backward(dy: Any, number: Any, window: Window, shape: tuple[int, ...]) -> Any:
    dx = np.zeros(shape)
    for i, j in np.ndindex(dy.shape[1:3]):
        for p, q, row, column in seen(shape[1:3], window, (i, j)):
            is_here = number[:, i, j] == p * window.size[1] + q
            dx[:, row, column] += np.where(is_here, dy[:, i, j], 0)
    return dx


def average_pool(x: Any, window: Window, divisor: float, there: Pair) -> Any:
    y = np.zeros((len(x), *there, x.shape[3]))
    for i, j in np.ndindex(there):
        for _, _, row, column in seen(x.shape[1:3], window, (i, j)):
            y[:, i, j] += x[:, row, column] / divisor
    return y


def average_pool_backward(dy: Any, window: Window, divisor: float, shape: tuple[int, ...]) -> Any:
    dx = np.zeros(shape)
    for i, j in np.ndindex(dy.shape[1:3]):
        for _, _, row, column in seen(shape[1:3], window, (i, j)):
            dx[:, row, column] += dy[:, i, j] / divisor
    return dx
