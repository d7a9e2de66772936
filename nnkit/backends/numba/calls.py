"""For each operation the call of a kernel: which one, and how its arguments are arranged.

Those on images are in convolutions.py and images.py.

Only C-contiguous arrays come here, but for those declared as views: reshaping copies nothing.
A function returns None where there is no kernel for its arguments.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnkit.backends.contract import (
    Array,
    Norm,
    Out,
    Running,
    Update,
    View,
    check_columns,
    rectified,
)
from nnkit.kernels.numba import (
    activations,
    batch_norm,
    batch_norm_shares,
    gradients,
    layer_norm,
    losses,
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
    maxout as pieces,
)
from nnkit.kernels.numba import (
    prelu as slopes,
)
from nnkit.kernels.numba import (
    softmax_cross_entropy as rows,
)
from nnkit.kernels.numba.codegen.jit import Kernel
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
    if not (a.ndim == b.ndim == 2 and a.dtype in REALS and a.dtype == b.dtype == out.dtype):
        return None
    (n, depth), (rows, m) = a.shape, b.shape
    a_flags, b_flags = a.flags, b.flags
    a_rows, b_rows = a_flags.c_contiguous, b_flags.c_contiguous
    if not (
        rows == depth
        and out.shape == (n, m)
        and (a_rows or a_flags.f_contiguous)
        and (b_rows or b_flags.f_contiguous)
    ):
        return None
    width = products.best_width(n, m, out.itemsize)
    operands = a if a_rows else a.T, b if b_rows else b.T
    arguments = *operands, out, not a_rows, not b_rows, width
    return products.product, n * m * depth, arguments, None


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


def batch_norm_forward(
    kind: str, x: Array, norm: Norm, running: Running, mean: Out, var: Out, y: Out
) -> Call:
    kernel, (n, m) = batch_norm.batch_norm_forward, x.shape
    vectors = norm.gamma, norm.beta, running.mean, running.var, mean, var
    arguments = x, *vectors, y, norm.eps, running.momentum, rectified(kind)
    return kernel, x.size, arguments, ((3, _tasks(kernel, n, x.size), m), np.float64)


def batch_norm_inference(kind: str, x: Array, norm: Norm, mean: Array, var: Array, y: Out) -> Call:
    arguments = x, norm.gamma, norm.beta, mean, var, y, norm.eps, rectified(kind)
    return batch_norm.batch_norm_inference, x.size, arguments, None


def batch_norm_backward(
    kind: str,
    dy: Array,
    y: Array | None,
    x: Array,
    norm: Norm,
    mean: Array,
    var: Array,
    dgamma: Out,
    dbeta: Out,
    dx: Out,
    batch_statistics: bool,
) -> Call:
    kernel, (n, m), relu = batch_norm.batch_norm_backward, x.shape, rectified(kind)
    arrays = dy, y if relu else x, x, norm.gamma, mean, var, dgamma, dbeta, dx
    arguments = *arrays, norm.eps, batch_statistics, relu
    return kernel, x.size, arguments, ((2, _tasks(kernel, n, x.size), m), np.float64)


def batch_norm_moments(x: Array, place: int, moments: Out) -> Call:
    kernel, (n, m) = batch_norm_shares.batch_norm_moments, x.shape
    return kernel, x.size, (x, place, moments), ((3, _tasks(kernel, n, x.size), m), np.float64)


def batch_norm_merge(moments: Array, running: Running, mean: Out, var: Out) -> Call:
    arguments = moments, running.mean, running.var, mean, var, running.momentum
    return batch_norm_shares.batch_norm_merge, moments.size, arguments, None


def batch_norm_sums(
    kind: str,
    dy: Array,
    y: Array | None,
    x: Array,
    norm: Norm,
    mean: Array,
    var: Array,
    dgamma: Out,
    dbeta: Out,
    sums: Out,
) -> Call:
    kernel, (n, m), relu = batch_norm_shares.batch_norm_sums, x.shape, rectified(kind)
    arguments = dy, y if relu else x, x, mean, var, dgamma, dbeta, sums, norm.eps, relu
    return kernel, x.size, arguments, ((2, _tasks(kernel, n, x.size), m), np.float64)


def batch_norm_input_gradient(
    kind: str,
    dy: Array,
    y: Array | None,
    x: Array,
    norm: Norm,
    mean: Array,
    var: Array,
    sums: Array,
    count: int,
    dx: Out,
) -> Call:
    relu = rectified(kind)
    arrays = dy, y if relu else x, x, norm.gamma, mean, var, sums, dx
    arguments = *arrays, norm.eps, count, relu
    return batch_norm_shares.batch_norm_input_gradient, x.size, arguments, None


def layer_norm_forward(x: Array, norm: Norm, mean: Out, inv_std: Out, y: Out) -> Call:
    arguments = x, norm.gamma, norm.beta, mean, inv_std, y, norm.eps
    return layer_norm.layer_norm_forward, x.size, arguments, None


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
    kernel = layer_norm.layer_norm_backward
    arguments = dy, x, norm.gamma, mean, inv_std, dgamma, dbeta, dx
    n, m = x.shape
    return kernel, x.size, arguments, ((2, _tasks(kernel, n, x.size), m), x.dtype)


def softmax_cross_entropy(
    z: Array, target: Array, dz: Out, log: Out, counters: Array, weights: Array | None
) -> Call:
    kernel = rows.softmax_cross_entropy
    sums = (_tasks(kernel, len(z), z.size), 2), np.float64
    return kernel, z.size, (z, target, dz, log, counters, weights), sums


def categorical_cross_entropy(
    y: Array,
    target: Array,
    dy: Out,
    log: Out,
    counters: Array,
    delta: float,
    weights: Array | None,
) -> Call:
    kernel = rows.categorical_cross_entropy
    sums = (_tasks(kernel, len(y), y.size), 2), np.float64
    return kernel, y.size, (y, target, dy, log, counters, delta, weights), sums


def elementwise_loss(
    kind: str,
    y: Array,
    target: Array,
    dy: Out,
    log: Out,
    counters: Array,
    alpha: float,
    weights: Array | None,
) -> Call:
    kernel = losses.elementwise_loss(kind)
    count = y.size if LOSSES[kind].mean_over == "elements" else len(y)
    flat = y.reshape(-1), target.reshape(-1), dy.reshape(-1)
    sums = (_tasks(kernel, y.size, y.size), 2), np.float64
    arguments = *flat, log, counters, count, alpha, weights, y.shape[-1]
    return kernel, y.size, arguments, sums


def dropout(x: Array, p: float, key: int, counters: Array, out: Out, first: int) -> Call:
    low, high = key & 0xFFFFFFFF, key >> 32
    arguments = x.reshape(-1), p, low, high, counters, out.reshape(-1), first
    return masks.dropout, x.size, arguments, None


def channel_dropout(x: Array, p: float, key: int, counters: Array, out: Out, first: int) -> Call:
    low, high = key & 0xFFFFFFFF, key >> 32
    return masks.channel_dropout, x.size, (x, p, low, high, counters, out, first), None


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
    rows, batch = (a.reshape(len(a), math.prod(a.shape[1:])) for a in (source, out))
    return kernel, out.size, (rows, order, counters, batch_size, batch), None


def advance(counters: Out, step: int, updates: int, forwards: int) -> Call:
    return counting.advance, 1, (counters, step, updates, forwards), None
