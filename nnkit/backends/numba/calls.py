"""For each operation the call of a kernel: which one, and how its arguments are arranged.

Only C-contiguous arrays come here, but for those declared as views: reshaping copies nothing.
A function returns None where there is no kernel for its arguments.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.backends.contract import (
    Array,
    Norm,
    Out,
    Running,
    Update,
    View,
    Window,
    check_columns,
)
from nnkit.kernels.numba import (
    activations,
    gradients,
    losses,
    normalization,
    optimizers,
    products,
)
from nnkit.kernels.numba import (
    containers as joints,
)
from nnkit.kernels.numba import (
    counters as counting,
)
from nnkit.kernels.numba import (
    dropout as masks,
)
from nnkit.kernels.numba import (
    gather as batches,
)
from nnkit.kernels.numba import (
    images as pictures,
)
from nnkit.kernels.numba import (
    maxout as pieces,
)
from nnkit.kernels.numba import (
    pooling as pools,
)
from nnkit.kernels.numba import (
    prelu as slopes,
)
from nnkit.kernels.numba import (
    softmax_cross_entropy as rows,
)
from nnkit.kernels.numba.codegen.jit import Kernel
from nnkit.kernels.numba.lines import Table, seen_by_pixels, seen_by_places
from nnkit.kernels.numba.runtime.tasks import task_count
from nnkit.kernels.table import LOSSES

Call = tuple[Kernel, int, tuple[Any, ...], tuple[tuple[int, ...], Any] | None]
"""A kernel, how many elements it works on, its arguments but for the last, which is what each task
of a sum writes to: the shape and the dtype of that, if there is one."""


REALS = np.dtype(np.float32), np.dtype(np.float64)


def _tasks(kernel: Kernel, count: int, size: int) -> int:
    return task_count(count, size, kernel.grain)


def _matrix(array: Array) -> Array:
    """Rows as those of one matrix."""
    if array.ndim == 2:
        return array
    m = array.shape[-1]
    return array.reshape(array.size // max(1, m), m)


def matmul(a: View, b: View, out: Out) -> Call | None:
    a_rows, b_rows = a.flags.c_contiguous, b.flags.c_contiguous
    if not (
        a.dtype in REALS
        and a.dtype == b.dtype == out.dtype
        and a.shape[1:] == b.shape[:1]
        and out.shape == (len(a), *b.shape[1:])
        and (a_rows or a.flags.f_contiguous)
        and (b_rows or b.flags.f_contiguous)
    ):
        return None
    width = products.best_width(*out.shape, out.itemsize)
    operands = a if a_rows else a.T, b if b_rows else b.T
    arguments = *operands, out, not a_rows, not b_rows, width
    return products.product, out.size * a.shape[1], arguments, None


def activation(kind: str, x: Array, y: Out, alpha: float) -> Call:
    return activations.activation(kind), x.size, (x.reshape(-1), y.reshape(-1), alpha), None


def activation_backward(kind: str, dy: Array, saved: Array, dx: Out, alpha: float) -> Call:
    flat = dy.reshape(-1), saved.reshape(-1), dx.reshape(-1)
    return activations.activation_backward(kind), dx.size, (*flat, alpha), None


def bias_activation(kind: str, z: Out, bias: Array | None, y: Out, alpha: float) -> Call:
    if bias is None:
        return activation(kind, z, y, alpha)
    return activations.bias_activation(kind), z.size, (z, bias, y, alpha), None


def bias_activation_backward(
    kind: str, dy: Array, saved: Array, dz: Out, dbias: Out | None, alpha: float
) -> Call:
    if dbias is None:
        return activation_backward(kind, dy, saved, dz, alpha)
    kernel = activations.bias_activation_backward(kind)
    sums = (_tasks(kernel, len(dz), dz.size), dbias.size), dbias.dtype
    return kernel, dz.size, (dy, saved, dz, dbias, alpha), sums


def bias_gradient(dy: Array, dbias: Out) -> Call:
    kernel = activations.bias_gradient
    sums = (_tasks(kernel, len(dy), dy.size), dbias.size), dbias.dtype
    return kernel, dy.size, (dy, dbias), sums


def prelu(x: Array, slope: Array, y: Out) -> Call:
    shape = -1, slope.size
    return slopes.prelu, x.size, (x.reshape(shape), slope, y.reshape(shape)), None


def prelu_backward(dy: Array, x: Array, slope: Array, dx: Out, dslope: Out) -> Call:
    dy, x, dx = (array.reshape(-1, slope.size) for array in (dy, x, dx))
    kernel = slopes.prelu_backward
    sums = (_tasks(kernel, len(dx), dx.size), dslope.size), dslope.dtype
    return kernel, dx.size, (dy, x, slope, dx, dslope), sums


def maxout(z: Array, bias: Array, y: Out, piece: Out) -> Call:
    return pieces.maxout, z.size, (z, bias, y, piece), None


def maxout_backward(dy: Array, piece: Array, dz: Out) -> Call:
    return pieces.maxout_backward, dz.size, (dy, piece, dz), None


def softmax(x: Array, y: Out) -> Call:
    return rows.softmax, x.size, (_matrix(x), _matrix(y)), None


def softmax_backward(dy: Array, y: Array, dx: Out) -> Call:
    return rows.softmax_backward, y.size, (_matrix(dy), _matrix(y), _matrix(dx)), None


def log_softmax(x: Array, y: Out) -> Call:
    return rows.log_softmax, x.size, (_matrix(x), _matrix(y)), None


def log_softmax_backward(dy: Array, y: Array, dx: Out) -> Call:
    return rows.log_softmax_backward, y.size, (_matrix(dy), _matrix(y), _matrix(dx)), None


def add(a: Array, b: Array, out: Out) -> Call:
    return joints.add, out.size, (a.reshape(-1), b.reshape(-1), out.reshape(-1)), None


def put_columns(x: Array, first: int, out: Out) -> Call:
    check_columns(x, first, out)
    return joints.put_columns, x.size, (_matrix(x), first, _matrix(out)), None


def take_columns(x: Array, first: int, out: Out) -> Call:
    check_columns(out, first, x)
    return joints.take_columns, out.size, (_matrix(x), first, _matrix(out)), None


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
    return pools.average_pool, dx.size, arguments, None


def transpose(x: Array, out: Out) -> Call:
    return pictures.transpose, x.size, (x, out), None


def batch_norm_forward(x: Array, norm: Norm, running: Running, mean: Out, var: Out, y: Out) -> Call:
    vectors = norm.gamma, norm.beta, running.mean, running.var, mean, var
    arguments = x, *vectors, y, norm.eps, running.momentum
    return normalization.batch_norm_forward, x.size, arguments, None


def batch_norm_inference(x: Array, norm: Norm, mean: Array, var: Array, y: Out) -> Call:
    arguments = x, norm.gamma, norm.beta, mean, var, y, norm.eps
    return normalization.batch_norm_inference, x.size, arguments, None


def batch_norm_backward(
    dy: Array,
    x: Array,
    norm: Norm,
    mean: Array,
    var: Array,
    dgamma: Out,
    dbeta: Out,
    dx: Out,
    batch_statistics: bool,
) -> Call:
    arrays = dy, x, norm.gamma, mean, var, dgamma, dbeta, dx
    arguments = *arrays, norm.eps, batch_statistics
    return normalization.batch_norm_backward, x.size, arguments, None


def layer_norm_forward(x: Array, norm: Norm, mean: Out, inv_std: Out, y: Out) -> Call:
    arguments = x, norm.gamma, norm.beta, mean, inv_std, y, norm.eps
    return normalization.layer_norm_forward, x.size, arguments, None


def layer_norm_backward(
    dy: Array,
    x: Array,
    norm: Norm,
    mean: Array,
    inv_std: Array,
    dgamma: Out,
    dbeta: Out,
    dx: Out,
) -> Call:
    kernel = normalization.layer_norm_backward
    arguments = dy, x, norm.gamma, mean, inv_std, dgamma, dbeta, dx
    n, m = x.shape
    return kernel, x.size, arguments, ((2, _tasks(kernel, n, x.size), m), x.dtype)


def softmax_cross_entropy(z: Array, target: Array, dz: Out, log: Out, counters: Array) -> Call:
    kernel = rows.softmax_cross_entropy
    sums = (_tasks(kernel, len(z), z.size), 2), np.float64
    return kernel, z.size, (z, target, dz, log, counters), sums


def categorical_cross_entropy(
    y: Array, target: Array, dy: Out, log: Out, counters: Array, delta: float
) -> Call:
    kernel = rows.categorical_cross_entropy
    sums = (_tasks(kernel, len(y), y.size), 2), np.float64
    return kernel, y.size, (y, target, dy, log, counters, delta), sums


def elementwise_loss(
    kind: str, y: Array, target: Array, dy: Out, log: Out, counters: Array, alpha: float
) -> Call:
    kernel = losses.elementwise_loss(kind)
    count = y.size if LOSSES[kind].mean_over == "elements" else len(y)
    flat = y.reshape(-1), target.reshape(-1), dy.reshape(-1)
    sums = (_tasks(kernel, y.size, y.size), 2), np.float64
    return kernel, y.size, (*flat, log, counters, count, alpha), sums


def dropout(x: Array, p: float, key: int, counters: Array, out: Out) -> Call:
    low, high = key & 0xFFFFFFFF, key >> 32
    arguments = x.reshape(-1), p, low, high, counters, out.reshape(-1)
    return masks.dropout, x.size, arguments, None


def sgd(
    p: Out, g: Array, velocity: Out | None, update: Update, momentum: float, nesterov: bool
) -> Call | None:
    lr, counters, weight_decay, l1, master = update
    if master is not None:
        return None
    if velocity is None:
        return optimizers.sgd, p.size, (p, g, lr, counters, weight_decay, l1), None
    arguments = p, g, velocity, lr, counters, momentum, nesterov, weight_decay, l1
    return optimizers.sgd_momentum, p.size, arguments, None


def adaptive(
    p: Out, g: Array, squares: Out, update: Update, keep: float, add: float, eps: float
) -> Call | None:
    lr, counters, weight_decay, l1, master = update
    if master is not None:
        return None
    arguments = p, g, squares, lr, counters, keep, add, eps, weight_decay, l1
    return optimizers.adaptive, p.size, arguments, None


def adam(
    p: Out,
    g: Array,
    m: Out,
    v: Out,
    update: Update,
    beta1: float,
    beta2: float,
    eps: float,
    decoupled: bool,
) -> Call | None:
    lr, counters, weight_decay, l1, master = update
    if master is not None:
        return None
    numbers = beta1, beta2, eps, weight_decay, decoupled, l1
    return optimizers.adam, p.size, (p, g, m, v, lr, counters, *numbers), None


def accumulate(g: Array, total: Out, weight: float, start: bool) -> Call:
    return gradients.accumulate, g.size, (g, total, weight, start), None


def sum_of_squares(x: Array, total: Out, start: bool) -> Call:
    kernel = gradients.sum_of_squares
    sums = (_tasks(kernel, x.size, x.size),), np.float64
    return kernel, x.size, (x, total, start), sums


def clip(x: Out, total: Array, limit: float) -> Call:
    return gradients.clip, x.size, (x, total, limit), None


def gather(source: Array, order: Array, counters: Array, batch_size: int, out: Out) -> Call:
    kernel = batches.gather if source.dtype == out.dtype else batches.gather_scaled
    return kernel, out.size, (source, order, counters, batch_size, out), None


def advance(counters: Out, step: int, updates: int, forwards: int) -> Call:
    return counting.advance, 1, (counters, step, updates, forwards), None
