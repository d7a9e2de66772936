"""The calls of kernels for operations on images; see calls.py."""

from __future__ import annotations

from functools import cache
from math import inf, prod
from typing import Any

import numpy as np

from nnkit.backends.contract import Array, Changes, Out, Window
from nnkit.backends.numba.calls import Call
from nnkit.kernels.numba import (
    augment as changing,
)
from nnkit.kernels.numba import (
    convolution as convolutions,
)
from nnkit.kernels.numba import (
    convolution_gradients,
    depthwise,
    geometry,
    products,
)
from nnkit.kernels.numba import (
    images as axes,
)
from nnkit.kernels.numba import (
    pooling as pools,
)
from nnkit.kernels.numba.lines import Table, seen_by_pixels, seen_by_places


def _shape(
    x: Array, weight: Array, window: Window, groups: int, pool: Window | None, y: Array
) -> geometry.Shape:
    """What determines the tables of a convolution."""
    image, places = x.shape[1:3], y.shape[1:3]
    size = stride = (1, 1)
    if pool is not None:
        size, stride = pool.size, pool.stride
        places = tuple((n - 1) * s + k for n, s, k in zip(places, stride, size, strict=True))
    own = window.size, window.stride, window.padding, window.dilation
    return geometry.Shape(image, x.shape[3], weight.shape[3], groups, places, *own, size, stride)


def _nothing(dtype: Any) -> Array:
    """The array that stands for one that is not there."""
    return NOTHING[np.dtype(dtype).name]


NOTHING = {name: np.empty(0, name) for name in ("float32", "float64", "uint8")}


def convolution(
    kind: str,
    x: Array,
    weight: Array,
    bias: Array | None,
    window: Window,
    groups: int,
    pool: Window | None,
    y: Out,
    place: Out | None,
) -> Call:
    tables = geometry.tables(_shape(x, weight, window, groups, pool, y))
    rows = y.size // weight.shape[3] * (prod(pool.size) if pool is not None else 1)
    width = products.best_width(rows, weight.shape[3] // groups, x.itemsize)
    if bias is None:
        bias = _zeros(weight.shape[3], x.dtype)
    floor = 0.0 if kind == "relu" else -inf
    if _is_depthwise(weight, groups, pool):
        arrays = (array.reshape(-1) for array in (x, weight, bias, y))
        arguments = *arrays, *tables[:3], len(x), _run(window, y), floor
        return depthwise.depthwise, rows * weight.size, arguments, None
    where = _nothing("uint8") if place is None else place
    arrays = (array.reshape(-1) for array in (x, weight, bias, y, where))
    arguments = *arrays, *tables[:-1], len(x), floor, width
    return convolutions.convolution, rows * weight.size // groups, arguments, None


def _is_depthwise(weight: Array, groups: int, pool: Window | None) -> bool:
    """Whether each channel is by itself, and goes on as it is."""
    return groups == weight.shape[3] and weight.shape[2] == 1 and groups > 1 and pool is None


def _run(window: Window, y: Array) -> int:
    """Places side by side, windows side by side: parts of a row that stay in the cache."""
    width, channels = y.shape[2:]
    if window.stride[1] > 1:
        return 1
    parts = (run for run in range(1, width + 1) if width % run == 0)
    return max(run for run in parts if run == 1 or run * channels <= depthwise.RUN)


@cache
def _zeros(size: int, dtype: Any) -> Array:
    return np.zeros(size, dtype)


def convolution_backward(
    kind: str,
    dy: Array,
    x: Array,
    weight: Array,
    window: Window,
    groups: int,
    pool: Window | None,
    y: Array,
    place: Array | None,
    dweight: Out | None,
    dbias: Out | None,
    dx: Out | None,
) -> Call:
    tables = geometry.tables(_shape(x, weight, window, groups, pool, dy))
    rows = dy.size // weight.shape[3] * (prod(pool.size) if pool is not None else 1)
    where = _nothing("uint8") if place is None else place
    wanted = [_nothing(x.dtype) if array is None else array for array in (dweight, dbias, dx)]
    tasks = convolution_gradients.task_count(len(x), rows, weight.size)
    if _is_depthwise(weight, groups, pool):
        arrays = (array.reshape(-1) for array in (dy, x, weight, y, *wanted))
        arguments = *arrays, *tables[:3], len(x), _run(window, dy), kind == "relu"
        totals = (tasks, prod(window.size) + 1, groups), x.dtype
        return depthwise.depthwise_backward, 2 * rows * weight.size, arguments, totals
    arrays = (array.reshape(-1) for array in (dy, x, weight, y, where, *wanted))
    kernel, depth = convolution_gradients.convolution_backward, prod(weight.shape[:3])
    widths = (
        products.best_width(depth, weight.shape[3] // groups, x.itemsize),
        products.best_width(rows, depth, x.itemsize),
    )
    work = rows * weight.size // groups * sum(each is not None for each in (dweight, dx))
    sums = (tasks, wanted[0].size + wanted[1].size), x.dtype
    arguments = *arrays, *tables, len(x), kind == "relu", *widths
    return kernel, work, arguments, sums


def augment(x: Array, changes: Changes, key: int, counters: Array, out: Out) -> Call:
    shape = (*x.shape, 1)[:4]
    keys = key & 0xFFFFFFFF, key >> 32
    arguments = x.reshape(shape), *changes, *keys, counters, out.reshape(shape)
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
