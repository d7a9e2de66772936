"""The Numba backend: the reference's operations as fused, compiled loops on the CPU.

Arrays that are not C-contiguous go to the reference.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from nnkit.backends.base import Array
from nnkit.backends.numpy import NumpyBackend, exact, settle
from nnkit.kernels.table import LOSSES

REALS = np.dtype(np.float32), np.dtype(np.float64)


class _Capturing(threading.local):
    """The tape that a thread is capturing to."""

    tape: Any = None


class NumbaBackend(NumpyBackend):
    """NumPy arrays, and the kernels of ``nnkit.kernels.numba``.

    `threads` is how many threads the kernels may use (see ``kernels/numba/runtime/threads.py``).
    The results' bits do not depend on it.
    Numba is imported when the object is made. Each kernel is compiled at its first use on a
    machine, and kept on disk.
    """

    name = "numba"

    def __init__(self) -> None:
        from nnkit.kernels.numba.runtime import threads

        self.threads = threads.count()
        threads.limit_blas()
        from nnkit.kernels.numba import (
            activations,
            counters,
            dropout,
            gather,
            gradients,
            losses,
            maxout,
            normalization,
            optimizers,
            prelu,
            products,
            softmax_cross_entropy,
        )
        from nnkit.kernels.numba.runtime import memory, tape, tasks

        self._tape = tape
        self._alone = memory.ALONE
        self._task_count = tasks.task_count
        self._capturing = _Capturing()
        self._products = products
        self._activations = activations
        self._prelu = prelu
        self._maxout = maxout
        self._softmax = softmax_cross_entropy
        self._losses = losses
        self._normalization = normalization
        self._optimizers = optimizers
        self._gradients = gradients
        self._dropout = dropout.dropout
        self._gather = gather
        self._advance = counters.advance

    def _run(self, kernel: Any, size: int, *arguments: Any) -> None:
        """Call a kernel on so many elements, or put the call on the tape of this thread."""
        tape = self._capturing.tape
        grains = size // kernel.grain
        large = grains >= self._tape.WORTH_A_TEAM and self.threads > 1
        if tape is None and not (large and self._tape.dense(arguments)):
            kernel.function(*arguments, self._alone)
            return
        single = self._tape.Tape() if tape is None else tape
        members = max(1, min(self.threads, grains))
        single.append(kernel.function, arguments, members, grains)
        if tape is None:
            single.replay(1)

    def capture(self, step: Callable[[], object]) -> Callable[[int], None]:
        """Record the kernel calls of `step` on a tape, without carrying them out."""
        tape = self._tape.Tape()
        self._capturing.tape = tape
        try:
            step()
        finally:
            self._capturing.tape = None
        replay: Callable[[int], None] = tape.replay
        return replay

    def matmul(self, a: Array, b: Array, out: Array | None = None) -> Array:
        if out is None:
            out = np.empty((len(a), b.shape[1]), a.dtype)
        a_rows, b_rows = a.flags.c_contiguous, b.flags.c_contiguous
        if (
            a.dtype in REALS
            and a.dtype == b.dtype == out.dtype
            and a.shape[1:] == b.shape[:1]
            and out.shape == (len(a), *b.shape[1:])
            and out.flags.c_contiguous
            and (a_rows or a.flags.f_contiguous)
            and (b_rows or b.flags.f_contiguous)
        ):
            width = self._products.best_width(*out.shape, out.itemsize)
            operands = a if a_rows else a.T, b if b_rows else b.T
            size = out.size * a.shape[1]
            self._run(self._products.product, size, *operands, out, not a_rows, not b_rows, width)
            return out
        return super().matmul(a, b, out)

    def bias_activation(
        self, kind: str, z: Array, bias: Array | None, y: Array, alpha: float = 0.0
    ) -> None:
        if bias is None:
            self._elementwise(kind, z, y, alpha)
        elif z.flags.c_contiguous and y.flags.c_contiguous:
            self._run(self._activations.bias_activation(kind), z.size, z, bias, y, alpha)
        else:
            super().bias_activation(kind, z, bias, y, alpha)

    def bias_activation_backward(
        self,
        kind: str,
        dy: Array,
        saved: Array,
        dz: Array,
        dbias: Array | None,
        alpha: float = 0.0,
    ) -> None:
        if dbias is None:
            self._elementwise_backward(kind, dy, saved, dz, alpha)
        elif dy.flags.c_contiguous and saved.flags.c_contiguous and dz.flags.c_contiguous:
            kernel = self._activations.bias_activation_backward(kind)
            sums = np.empty(
                (self._task_count(len(dz), dz.size, kernel.grain), dbias.size), dbias.dtype
            )
            self._run(kernel, dz.size, dy, saved, dz, dbias, alpha, sums)
        else:
            super().bias_activation_backward(kind, dy, saved, dz, dbias, alpha)

    def _elementwise(self, kind: str, x: Array, y: Array, alpha: float) -> None:
        if x.flags.c_contiguous and y.flags.c_contiguous:
            self._run(
                self._activations.activation(kind), x.size, x.reshape(-1), y.reshape(-1), alpha
            )
        else:
            super()._elementwise(kind, x, y, alpha)

    def _elementwise_backward(
        self, kind: str, dy: Array, saved: Array, dx: Array, alpha: float
    ) -> None:
        if dy.flags.c_contiguous and saved.flags.c_contiguous and dx.flags.c_contiguous:
            self._run(
                self._activations.activation_backward(kind),
                dx.size,
                dy.reshape(-1),
                saved.reshape(-1),
                dx.reshape(-1),
                alpha,
            )
        else:
            super()._elementwise_backward(kind, dy, saved, dx, alpha)

    def bias_gradient(self, dy: Array, dbias: Array) -> None:
        if dy.flags.c_contiguous:
            kernel = self._activations.bias_gradient
            sums = np.empty(
                (self._task_count(len(dy), dy.size, kernel.grain), dbias.size), dbias.dtype
            )
            self._run(kernel, dy.size, dy, dbias, sums)
        else:
            super().bias_gradient(dy, dbias)

    def prelu(self, x: Array, slope: Array, y: Array) -> None:
        if x.flags.c_contiguous:
            shape = -1, slope.size
            self._run(self._prelu.prelu, x.size, x.reshape(shape), slope, y.reshape(shape))
        else:
            super().prelu(x, slope, y)

    def prelu_backward(self, dy: Array, x: Array, slope: Array, dx: Array, dslope: Array) -> None:
        if dy.flags.c_contiguous and x.flags.c_contiguous:
            dy, x, dx = (array.reshape(-1, slope.size) for array in (dy, x, dx))
            kernel = self._prelu.prelu_backward
            sums = np.empty(
                (self._task_count(len(dx), dx.size, kernel.grain), dslope.size), dslope.dtype
            )
            self._run(kernel, dx.size, dy, x, slope, dx, dslope, sums)
        else:
            super().prelu_backward(dy, x, slope, dx, dslope)

    def maxout(self, z: Array, bias: Array, y: Array, piece: Array) -> None:
        if z.flags.c_contiguous:
            self._run(self._maxout.maxout, z.size, z, bias, y, piece)
        else:
            super().maxout(z, bias, y, piece)

    def maxout_backward(self, dy: Array, piece: Array, dz: Array) -> None:
        if dy.flags.c_contiguous and piece.flags.c_contiguous:
            self._run(self._maxout.maxout_backward, dz.size, dy, piece, dz)
        else:
            super().maxout_backward(dy, piece, dz)

    def softmax(self, x: Array, y: Array | None = None) -> Array:
        y = np.empty(x.shape, x.dtype) if y is None else y
        if x.ndim == 2 and x.flags.c_contiguous and y.flags.c_contiguous:
            self._run(self._softmax.softmax, x.size, x, y)
            return y
        return super().softmax(x, y)

    def softmax_backward(self, dy: Array, y: Array, dx: Array | None = None) -> Array:
        dx = np.empty(y.shape, y.dtype) if dx is None else dx
        if y.ndim == 2 and dy.flags.c_contiguous and y.flags.c_contiguous and dx.flags.c_contiguous:
            self._run(self._softmax.softmax_backward, y.size, dy, y, dx)
            return dx
        return super().softmax_backward(dy, y, dx)

    def log_softmax(self, x: Array, y: Array | None = None) -> Array:
        y = np.empty(x.shape, x.dtype) if y is None else y
        if x.ndim == 2 and x.flags.c_contiguous and y.flags.c_contiguous:
            self._run(self._softmax.log_softmax, x.size, x, y)
            return y
        return super().log_softmax(x, y)

    def log_softmax_backward(self, dy: Array, y: Array, dx: Array | None = None) -> Array:
        dx = np.empty(y.shape, y.dtype) if dx is None else dx
        if y.ndim == 2 and dy.flags.c_contiguous and y.flags.c_contiguous and dx.flags.c_contiguous:
            self._run(self._softmax.log_softmax_backward, y.size, dy, y, dx)
            return dx
        return super().log_softmax_backward(dy, y, dx)

    def batch_norm_forward(
        self,
        x: Array,
        gamma: Array,
        beta: Array,
        running_mean: Array,
        running_var: Array,
        mean: Array,
        var: Array,
        y: Array,
        eps: float,
        momentum: float,
    ) -> None:
        arrays = x, gamma, beta, running_mean, running_var, mean, var, y
        if self._tape.dense(arrays):
            self._run(self._normalization.batch_norm_forward, x.size, *arrays, eps, momentum)
        else:
            super().batch_norm_forward(*arrays, eps, momentum)

    def batch_norm_inference(
        self, x: Array, gamma: Array, beta: Array, mean: Array, var: Array, y: Array, eps: float
    ) -> None:
        arrays = x, gamma, beta, mean, var, y
        if self._tape.dense(arrays):
            self._run(self._normalization.batch_norm_inference, x.size, *arrays, eps)
        else:
            super().batch_norm_inference(*arrays, eps)

    def batch_norm_backward(
        self,
        dy: Array,
        x: Array,
        gamma: Array,
        mean: Array,
        var: Array,
        dgamma: Array,
        dbeta: Array,
        dx: Array,
        eps: float,
        batch_statistics: bool,
    ) -> None:
        arrays = dy, x, gamma, mean, var, dgamma, dbeta, dx
        if self._tape.dense(arrays):
            self._run(
                self._normalization.batch_norm_backward, x.size, *arrays, eps, batch_statistics
            )
        else:
            super().batch_norm_backward(*arrays, eps, batch_statistics)

    def layer_norm_forward(
        self,
        x: Array,
        gamma: Array,
        beta: Array,
        mean: Array,
        inv_std: Array,
        y: Array,
        eps: float,
    ) -> None:
        arrays = x, gamma, beta, mean, inv_std, y
        if self._tape.dense(arrays):
            self._run(self._normalization.layer_norm_forward, x.size, *arrays, eps)
        else:
            super().layer_norm_forward(*arrays, eps)

    def layer_norm_backward(
        self,
        dy: Array,
        x: Array,
        gamma: Array,
        mean: Array,
        inv_std: Array,
        dgamma: Array,
        dbeta: Array,
        dx: Array,
    ) -> None:
        arrays = dy, x, gamma, mean, inv_std, dgamma, dbeta, dx
        if self._tape.dense(arrays):
            kernel = self._normalization.layer_norm_backward
            n, m = x.shape
            sums = np.empty((2, self._task_count(n, x.size, kernel.grain), m), x.dtype)
            self._run(kernel, x.size, *arrays, sums)
        else:
            super().layer_norm_backward(*arrays)

    def softmax_cross_entropy(
        self, z: Array, target: Array, dz: Array, log: Array, counters: Array
    ) -> None:
        if z.flags.c_contiguous and target.flags.c_contiguous and dz.flags.c_contiguous:
            kernel = self._softmax.softmax_cross_entropy
            sums = np.empty((self._task_count(len(z), z.size, kernel.grain), 2))
            self._run(kernel, z.size, z, target, dz, log, counters, sums)
        else:
            super().softmax_cross_entropy(z, target, dz, log, counters)

    def categorical_cross_entropy(
        self, y: Array, target: Array, dy: Array, log: Array, counters: Array, delta: float
    ) -> None:
        if y.flags.c_contiguous and target.flags.c_contiguous and dy.flags.c_contiguous:
            kernel = self._softmax.categorical_cross_entropy
            sums = np.empty((self._task_count(len(y), y.size, kernel.grain), 2))
            self._run(kernel, y.size, y, target, dy, log, counters, delta, sums)
        else:
            super().categorical_cross_entropy(y, target, dy, log, counters, delta)

    def elementwise_loss(
        self,
        kind: str,
        y: Array,
        target: Array,
        dy: Array,
        log: Array,
        counters: Array,
        alpha: float = 0.0,
    ) -> None:
        if y.flags.c_contiguous and target.flags.c_contiguous and dy.flags.c_contiguous:
            kernel = self._losses.elementwise_loss(kind)
            self._run(
                kernel,
                y.size,
                y.reshape(-1),
                target.reshape(-1),
                dy.reshape(-1),
                log,
                counters,
                y.size if LOSSES[kind].mean_over == "elements" else len(y),
                alpha,
                np.empty((self._task_count(y.size, y.size, kernel.grain), 2)),
            )
        else:
            super().elementwise_loss(kind, y, target, dy, log, counters, alpha)

    def dropout(self, x: Array, p: float, key: int, counters: Array, out: Array) -> None:
        if x.flags.c_contiguous and out.flags.c_contiguous:
            low, high = key & 0xFFFFFFFF, key >> 32
            flat = x.reshape(-1), p, low, high, counters, out.reshape(-1)
            self._run(self._dropout, x.size, *flat)
        else:
            super().dropout(x, p, key, counters, out)

    def sgd(
        self,
        p: Array,
        g: Array,
        velocity: Array | None,
        lr: Array,
        counters: Array,
        momentum: float,
        nesterov: bool,
        weight_decay: float,
        l1: float = 0.0,
        master: Array | None = None,
    ) -> None:
        x = exact(p, master)
        if velocity is None:
            self._run(self._optimizers.sgd, p.size, x, g, lr, counters, weight_decay, l1)
        else:
            self._run(
                self._optimizers.sgd_momentum,
                p.size,
                x,
                g,
                velocity,
                lr,
                counters,
                momentum,
                nesterov,
                weight_decay,
                l1,
            )
        settle(p, x)

    def adaptive(
        self,
        p: Array,
        g: Array,
        squares: Array,
        lr: Array,
        counters: Array,
        keep: float,
        add: float,
        eps: float,
        weight_decay: float,
        l1: float = 0.0,
        master: Array | None = None,
    ) -> None:
        x = exact(p, master)
        self._run(
            self._optimizers.adaptive,
            p.size,
            x,
            g,
            squares,
            lr,
            counters,
            keep,
            add,
            eps,
            weight_decay,
            l1,
        )
        settle(p, x)

    def adam(
        self,
        p: Array,
        g: Array,
        m: Array,
        v: Array,
        lr: Array,
        counters: Array,
        beta1: float,
        beta2: float,
        eps: float,
        weight_decay: float,
        decoupled: bool,
        l1: float = 0.0,
        master: Array | None = None,
    ) -> None:
        x = exact(p, master)
        self._run(
            self._optimizers.adam,
            p.size,
            x,
            g,
            m,
            v,
            lr,
            counters,
            beta1,
            beta2,
            eps,
            weight_decay,
            decoupled,
            l1,
        )
        settle(p, x)

    def accumulate(self, g: Array, total: Array, weight: float, start: bool) -> None:
        self._run(self._gradients.accumulate, g.size, g, total, weight, start)

    def sum_of_squares(self, x: Array, total: Array, start: bool) -> None:
        kernel = self._gradients.sum_of_squares
        self._run(
            kernel,
            x.size,
            x,
            total,
            start,
            np.empty(self._task_count(x.size, x.size, kernel.grain)),
        )

    def clip(self, x: Array, total: Array, limit: float) -> None:
        self._run(self._gradients.clip, x.size, x, total, limit)

    def gather(
        self, source: Array, order: Array, counters: Array, batch_size: int, out: Array
    ) -> None:
        if source.flags.c_contiguous and out.flags.c_contiguous:
            kernel = (
                self._gather.gather if source.dtype == out.dtype else self._gather.gather_scaled
            )
            self._run(kernel, out.size, source, order, counters, batch_size, out)
        else:
            super().gather(source, order, counters, batch_size, out)

    def advance(self, counters: Array, step: int, updates: int, forwards: int) -> None:
        self._run(self._advance, 1, counters, step, updates, forwards)


def create() -> NumbaBackend:
    """Make the backend; raises ImportError if Numba is not installed."""
    try:
        return NumbaBackend()
    except ModuleNotFoundError as error:
        if error.name != "numba":
            raise
        raise ImportError("numba is not installed: pip install 'nnkit[numba]'") from error
