"""For each operation the call of a kernel: which one, and how its arguments are arranged.

Only C-contiguous arrays come here, but for `matmul`: reshaping makes views.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nnkit.backends.contract import Array, Norm, Out, Running, Update, View
from nnkit.kernels.numba import (
    activations,
    gradients,
    losses,
    normalization,
    optimizers,
    products,
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
from nnkit.kernels.numba.jit import Kernel
from nnkit.kernels.numba.tasks import task_count
from nnkit.kernels.table import LOSSES


class Call(NamedTuple):
    """A call of a kernel on so many elements."""

    kernel: Kernel
    size: int
    arguments: tuple[Any, ...]
    sums: tuple[tuple[int, ...], Any] | None = None
    """Shape and dtype of the array that each task of a sum writes to, the last argument."""


def _tasks(kernel: Kernel, count: int, size: int) -> int:
    return task_count(count, size, kernel.grain)


def _matrix(array: Array) -> Array:
    """Rows as those of one matrix."""
    if array.ndim == 2:
        return array
    m = array.shape[-1]
    return array.reshape(array.size // max(1, m), m)


def matmul(a: View, b: View, out: Out) -> Call:
    a_rows, b_rows = a.flags.c_contiguous, b.flags.c_contiguous
    width = products.best_width(*out.shape, out.itemsize)
    operands = a if a_rows else a.T, b if b_rows else b.T
    arguments = *operands, out, not a_rows, not b_rows, width
    return Call(products.product, out.size * a.shape[1], arguments)


def activation(kind: str, x: Array, y: Out, alpha: float) -> Call:
    return Call(activations.activation(kind), x.size, (x.reshape(-1), y.reshape(-1), alpha))


def activation_backward(kind: str, dy: Array, saved: Array, dx: Out, alpha: float) -> Call:
    flat = dy.reshape(-1), saved.reshape(-1), dx.reshape(-1)
    return Call(activations.activation_backward(kind), dx.size, (*flat, alpha))


def bias_activation(kind: str, z: Out, bias: Array | None, y: Out, alpha: float) -> Call:
    if bias is None:
        return activation(kind, z, y, alpha)
    return Call(activations.bias_activation(kind), z.size, (z, bias, y, alpha))


def bias_activation_backward(
    kind: str, dy: Array, saved: Array, dz: Out, dbias: Out | None, alpha: float
) -> Call:
    if dbias is None:
        return activation_backward(kind, dy, saved, dz, alpha)
    kernel = activations.bias_activation_backward(kind)
    sums = (_tasks(kernel, len(dz), dz.size), dbias.size), dbias.dtype
    return Call(kernel, dz.size, (dy, saved, dz, dbias, alpha), sums)


def bias_gradient(dy: Array, dbias: Out) -> Call:
    kernel = activations.bias_gradient
    sums = (_tasks(kernel, len(dy), dy.size), dbias.size), dbias.dtype
    return Call(kernel, dy.size, (dy, dbias), sums)


def prelu(x: Array, slope: Array, y: Out) -> Call:
    shape = -1, slope.size
    return Call(slopes.prelu, x.size, (x.reshape(shape), slope, y.reshape(shape)))


def prelu_backward(dy: Array, x: Array, slope: Array, dx: Out, dslope: Out) -> Call:
    dy, x, dx = (array.reshape(-1, slope.size) for array in (dy, x, dx))
    kernel = slopes.prelu_backward
    sums = (_tasks(kernel, len(dx), dx.size), dslope.size), dslope.dtype
    return Call(kernel, dx.size, (dy, x, slope, dx, dslope), sums)


def maxout(z: Array, bias: Array, y: Out, piece: Out) -> Call:
    return Call(pieces.maxout, z.size, (z, bias, y, piece))


def maxout_backward(dy: Array, piece: Array, dz: Out) -> Call:
    return Call(pieces.maxout_backward, dz.size, (dy, piece, dz))


def softmax(x: Array, y: Out) -> Call:
    return Call(rows.softmax, x.size, (_matrix(x), _matrix(y)))


def softmax_backward(dy: Array, y: Array, dx: Out) -> Call:
    return Call(rows.softmax_backward, y.size, (_matrix(dy), _matrix(y), _matrix(dx)))


def log_softmax(x: Array, y: Out) -> Call:
    return Call(rows.log_softmax, x.size, (_matrix(x), _matrix(y)))


def log_softmax_backward(dy: Array, y: Array, dx: Out) -> Call:
    return Call(rows.log_softmax_backward, y.size, (_matrix(dy), _matrix(y), _matrix(dx)))


def batch_norm_forward(x: Array, norm: Norm, running: Running, mean: Out, var: Out, y: Out) -> Call:
    vectors = norm.gamma, norm.beta, running.mean, running.var, mean, var
    arguments = x, *vectors, y, norm.eps, running.momentum
    return Call(normalization.batch_norm_forward, x.size, arguments)


def batch_norm_inference(x: Array, norm: Norm, mean: Array, var: Array, y: Out) -> Call:
    arguments = x, norm.gamma, norm.beta, mean, var, y, norm.eps
    return Call(normalization.batch_norm_inference, x.size, arguments)


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
    return Call(normalization.batch_norm_backward, x.size, arguments)


def layer_norm_forward(x: Array, norm: Norm, mean: Out, inv_std: Out, y: Out) -> Call:
    arguments = x, norm.gamma, norm.beta, mean, inv_std, y, norm.eps
    return Call(normalization.layer_norm_forward, x.size, arguments)


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
    return Call(kernel, x.size, arguments, ((2, _tasks(kernel, n, x.size), m), x.dtype))


def softmax_cross_entropy(z: Array, target: Array, dz: Out, log: Out, counters: Array) -> Call:
    kernel = rows.softmax_cross_entropy
    sums = (_tasks(kernel, len(z), z.size), 2), np.float64
    return Call(kernel, z.size, (z, target, dz, log, counters), sums)


def categorical_cross_entropy(
    y: Array, target: Array, dy: Out, log: Out, counters: Array, delta: float
) -> Call:
    kernel = rows.categorical_cross_entropy
    sums = (_tasks(kernel, len(y), y.size), 2), np.float64
    return Call(kernel, y.size, (y, target, dy, log, counters, delta), sums)


def elementwise_loss(
    kind: str, y: Array, target: Array, dy: Out, log: Out, counters: Array, alpha: float
) -> Call:
    kernel = losses.elementwise_loss(kind)
    count = y.size if LOSSES[kind].mean_over == "elements" else len(y)
    flat = y.reshape(-1), target.reshape(-1), dy.reshape(-1)
    sums = (_tasks(kernel, y.size, y.size), 2), np.float64
    return Call(kernel, y.size, (*flat, log, counters, count, alpha), sums)


def dropout(x: Array, p: float, key: int, counters: Array, out: Out) -> Call:
    low, high = key & 0xFFFFFFFF, key >> 32
    arguments = x.reshape(-1), p, low, high, counters, out.reshape(-1)
    return Call(masks.dropout, x.size, arguments)


def sgd(
    p: Out, g: Array, velocity: Out | None, update: Update, momentum: float, nesterov: bool
) -> Call:
    lr, counters, *penalties, _ = update
    if velocity is None:
        return Call(optimizers.sgd, p.size, (p, g, lr, counters, *penalties))
    arguments = p, g, velocity, lr, counters, momentum, nesterov, *penalties
    return Call(optimizers.sgd_momentum, p.size, arguments)


def adaptive(
    p: Out, g: Array, squares: Out, update: Update, keep: float, add: float, eps: float
) -> Call:
    lr, counters, *penalties, _ = update
    arguments = p, g, squares, lr, counters, keep, add, eps, *penalties
    return Call(optimizers.adaptive, p.size, arguments)


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
) -> Call:
    lr, counters, weight_decay, l1, _ = update
    numbers = beta1, beta2, eps, weight_decay, decoupled, l1
    return Call(optimizers.adam, p.size, (p, g, m, v, lr, counters, *numbers))


def accumulate(g: Array, total: Out, weight: float, start: bool) -> Call:
    return Call(gradients.accumulate, g.size, (g, total, weight, start))


def sum_of_squares(x: Array, total: Out, start: bool) -> Call:
    kernel = gradients.sum_of_squares
    sums = (_tasks(kernel, x.size, x.size),), np.float64
    return Call(kernel, x.size, (x, total, start), sums)


def clip(x: Out, total: Array, limit: float) -> Call:
    return Call(gradients.clip, x.size, (x, total, limit))


def gather(source: Array, order: Array, counters: Array, batch_size: int, out: Out) -> Call:
    kernel = batches.gather if source.dtype == out.dtype else batches.gather_scaled
    return Call(kernel, out.size, (source, order, counters, batch_size, out))


def advance(counters: Out, step: int, updates: int, forwards: int) -> Call:
    return Call(counting.advance, 1, (counters, step, updates, forwards))
