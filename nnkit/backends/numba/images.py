"""The calls of kernels for operations on images other than convolutions; see calls.py."""

from __future__ import annotations

from nnkit.backends.contract import Array, Changes, Out, Window
from nnkit.backends.numba.calls import Call
from nnkit.kernels.numba import (
    augment as changing,
)
from nnkit.kernels.numba import (
    images as axes,
)
from nnkit.kernels.numba import (
    pooling as pools,
)
from nnkit.kernels.numba.lines import Table, seen_by_pixels, seen_by_places


def augment(x: Array, changes: Changes, key: int, counters: Array, out: Out, first: int) -> Call:
    shape = (*x.shape, 1)[:4]
    keys = key & 0xFFFFFFFF, key >> 32
    arguments = x.reshape(shape), *changes, *keys, counters, out.reshape(shape), first
    return changing.augment, x.size, arguments, None


def _lines(image: Array, window: Window, output: Array) -> list[tuple[int, ...]]:
    """Rows, then columns: how many pixels there are, how many places, and how they see them."""
    return [
        (image.shape[1 + i], output.shape[1 + i], *(part[i] for part in window)) for i in (0, 1)
    ]


def _of_places(image: Array, window: Window, output: Array) -> tuple[Table, Table]:
    rows, columns = _lines(image, window, output)
    return seen_by_places(*rows, False), seen_by_places(*columns, True)


def _of_pixels(image: Array, window: Window, output: Array) -> tuple[Table, Table]:
    rows, columns = _lines(image, window, output)
    return seen_by_pixels(*rows, False), seen_by_pixels(*columns, True)


def _in_rows(images: Array) -> Array:
    """Images with the channels of a row's pixels side by side."""
    n, height, width, channels = images.shape
    return images.reshape(n, height, width * channels)


def max_pool(x: Array, window: Window, y: Out, place: Out) -> Call:
    sizes = x.shape[3], window.size[1]
    arguments = _in_rows(x), *_of_places(x, window, y), *sizes, _in_rows(y), _in_rows(place)
    return pools.max_pool, x.size, arguments, None


def max_pool_backward(dy: Array, place: Array, window: Window, dx: Out) -> Call:
    sizes = dx.shape[3], window.size[1]
    arguments = _in_rows(dy), _in_rows(place), *_of_pixels(dx, window, dy), *sizes, _in_rows(dx)
    return pools.max_pool_backward, dx.size, arguments, None


def average_pool(x: Array, window: Window, divisor: float, y: Out) -> Call:
    arguments = _in_rows(x), *_of_places(x, window, y), x.shape[3], float(divisor), _in_rows(y)
    return pools.average_pool, x.size, arguments, None


def average_pool_backward(dy: Array, window: Window, divisor: float, dx: Out) -> Call:
    arguments = _in_rows(dy), *_of_pixels(dx, window, dy), dx.shape[3], float(divisor), _in_rows(dx)
    return pools.average_pool_backward, dx.size, arguments, None


def transpose(x: Array, out: Out) -> Call:
    return axes.transpose, x.size, (x, out), None
