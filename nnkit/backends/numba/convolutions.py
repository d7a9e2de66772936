"""The calls of kernels for convolutions, of which there are three kinds; see calls.py."""

from __future__ import annotations

from functools import cache
from math import inf, prod
from typing import Any

import numpy as np

from nnkit.backends.contract import Array, Out, Window
from nnkit.backends.numba.calls import Call
from nnkit.kernels.numba import (
    convolution as gathered,
)
from nnkit.kernels.numba import (
    convolution_gradients,
    depthwise,
    winograd,
    winograd_gradients,
)
from nnkit.kernels.numba.backward import task_count
from nnkit.kernels.numba.geometry import Shape, tables
from nnkit.kernels.numba.products import best_width
from nnkit.kernels.numba.winograd_geometry import is_possible, tiles


def _shape(
    x: Array, weight: Array, window: Window, groups: int, pool: Window | None, y: Array
) -> Shape:
    """What determines the tables of a convolution."""
    image, places = x.shape[1:3], y.shape[1:3]
    size = stride = (1, 1)
    if pool is not None:
        size, stride = pool.size, pool.stride
        places = tuple((n - 1) * s + k for n, s, k in zip(places, stride, size, strict=True))
    own = window.size, window.stride, window.padding, window.dilation
    return Shape(image, x.shape[3], weight.shape[3], groups, places, *own, size, stride)


NOTHING = {name: np.empty(0, name) for name in ("float32", "float64", "uint8")}
"""Arrays that stand for those that are not there."""


def _flat(*arrays: Array | None, dtype: Any) -> list[Array]:
    """Arrays as the kernels want them."""
    nothing = NOTHING[np.dtype(dtype).name]
    return [nothing if array is None else array.reshape(-1) for array in arrays]


@cache
def _zeros(size: int, dtype: Any) -> Array:
    return np.zeros(size, dtype)


def _is_depthwise(shape: Shape, pool: Window | None) -> bool:
    """Whether each channel is by itself, and goes on as it is."""
    return 1 < shape.groups == shape.channels == shape.outputs and pool is None


def _by_tiles(shape: Shape, pool: Window | None) -> bool:
    """Whether minimal filtering is used; not with a pooling of single outputs, which has places."""
    return is_possible(shape) and (pool is None or shape.pool != (1, 1))


def _run(shape: Shape) -> int:
    """Places side by side, windows side by side: parts of a row that stay in the cache."""
    if shape.stride[1] > 1:
        return 1
    width = shape.places[1]
    parts = (run for run in range(1, width + 1) if width % run == 0)
    return max(run for run in parts if run == 1 or run * shape.channels <= depthwise.RUN)


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
    shape = _shape(x, weight, window, groups, pool, y)
    if bias is None:
        bias = _zeros(shape.outputs, x.dtype)
    floor = 0.0 if kind == "relu" else -inf
    arrays = _flat(x, weight, bias, y, dtype=x.dtype)
    places = _flat(place, dtype="uint8")
    rows = len(x) * prod(shape.places)
    work = rows * weight.size
    if _is_depthwise(shape, pool):
        arguments = *arrays, *tables(shape)[:3], len(x), _run(shape), floor
        return depthwise.depthwise, work, arguments, None
    if _by_tiles(shape, pool):
        table = tiles(shape)
        width = best_width(table.length, shape.outputs, x.itemsize)
        return winograd.winograd, work, (*arrays, *places, *table, len(x), floor, width), None
    width = best_width(rows, shape.outputs // groups, x.itemsize)
    arguments = *arrays, *places, *tables(shape)[:4], len(x), floor, width
    return gathered.convolution, work, arguments, None


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
    shape = _shape(x, weight, window, groups, pool, dy)
    arrays = _flat(dy, x, weight, y, dtype=x.dtype)
    places = _flat(place, dtype="uint8")
    wanted = _flat(dweight, dbias, dx, dtype=x.dtype)
    rows, depth, masked = len(x) * prod(shape.places), prod(weight.shape[:3]), kind == "relu"
    work = rows * weight.size * sum(array is not None for array in (dweight, dx))
    tasks = task_count(len(x), rows, weight.size)
    sums = (tasks, wanted[0].size + wanted[1].size), x.dtype
    if _is_depthwise(shape, pool):
        arguments = *arrays, *wanted, *tables(shape)[:3], len(x), _run(shape), masked
        totals = (tasks, prod(shape.size) + 1, groups), x.dtype
        return depthwise.depthwise_backward, work, arguments, totals
    if _by_tiles(shape, pool):
        table = tiles(shape)
        widths = (
            best_width(shape.channels, shape.outputs, x.itemsize),
            best_width(table.length, shape.channels, x.itemsize),
        )
        arguments = *arrays, *places, *wanted, *table, len(x), masked, *widths
        return winograd_gradients.winograd_backward, work, arguments, sums
    widths = (
        best_width(depth, shape.outputs // groups, x.itemsize),
        best_width(rows, depth, x.itemsize),
    )
    arguments = *arrays, *places, *wanted, *tables(shape), len(x), masked, *widths
    return convolution_gradients.convolution_backward, work, arguments, sums
