"""Optimizer updates: one pass over flat buffers of parameters, gradients and state."""

from typing import Any

import numpy as np
from numba import prange

from nnkit.kernels.numba.counters import UPDATES, learning_rate
from nnkit.kernels.numba.denormals import flush_denormals, restore_denormals
from nnkit.kernels.numba.jit import body, threaded
from nnkit.kernels.numba.tasks import chunk, worker_count

GRAIN = 1 << 15
"""Elements worth a thread."""


@body
def _sgd(p: Any, g: Any, rate: Any, decay: Any) -> None:
    state = flush_denormals()
    for i in range(p.size):
        d = g[i] + decay * p[i] if decay != 0 else g[i]
        p[i] -= rate * d
    restore_denormals(state)


@threaded(GRAIN)
def sgd(p: Any, g: Any, lr: Any, counters: Any, weight_decay: float, threads: int) -> None:
    """``p -= lr * (g + weight_decay * p)``."""
    n = p.size
    rate = p.dtype.type(learning_rate(lr, counters))
    decay = p.dtype.type(weight_decay)
    workers = worker_count(threads, n, GRAIN)
    for w in prange(workers):
        i, j = chunk(n, workers, w), chunk(n, workers, w + 1)
        _sgd(p[i:j], g[i:j], rate, decay)


@body
def _sgd_momentum(
    p: Any, g: Any, velocity: Any, rate: Any, momentum: Any, nesterov: bool, decay: Any
) -> None:
    state = flush_denormals()
    for i in range(p.size):
        d = g[i] + decay * p[i] if decay != 0 else g[i]
        v = momentum * velocity[i] + d
        velocity[i] = v
        p[i] -= rate * (d + momentum * v if nesterov else v)
    restore_denormals(state)


@threaded(GRAIN)
def sgd_momentum(
    p: Any,
    g: Any,
    velocity: Any,
    lr: Any,
    counters: Any,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
    threads: int,
) -> None:
    """``g += weight_decay * p; v = momentum * v + g; p -= lr * (g + momentum * v or v)``."""
    n = p.size
    rate = p.dtype.type(learning_rate(lr, counters))
    mu, decay = p.dtype.type(momentum), p.dtype.type(weight_decay)
    workers = worker_count(threads, n, GRAIN)
    for w in prange(workers):
        i, j = chunk(n, workers, w), chunk(n, workers, w + 1)
        _sgd_momentum(p[i:j], g[i:j], velocity[i:j], rate, mu, nesterov, decay)


@body
def _adam(
    p: Any,
    g: Any,
    m: Any,
    v: Any,
    beta1: Any,
    rest1: Any,
    beta2: Any,
    rest2: Any,
    rate: Any,
    unbias2: Any,
    eps: Any,
    decay: Any,
    shrink: Any,
) -> None:
    state = flush_denormals()
    for i in range(p.size):
        q = p[i]
        d = g[i] + decay * q if decay != 0 else g[i]
        mean = beta1 * m[i] + rest1 * d
        square = beta2 * v[i] + rest2 * (d * d)
        m[i] = mean
        v[i] = square
        p[i] = shrink * q - rate * mean / (np.sqrt(square * unbias2) + eps)
    restore_denormals(state)


@threaded(GRAIN)
def adam(
    p: Any,
    g: Any,
    m: Any,
    v: Any,
    lr: Any,
    counters: Any,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    threads: int,
) -> None:
    """Adam, or AdamW where the weight decay is decoupled."""
    n = p.size
    real = p.dtype.type
    lr_now = learning_rate(lr, counters)
    updates = np.float64(counters[UPDATES] + 1)  # a whole exponent would be multiplied out
    rate = real(lr_now / (1 - beta1**updates))
    unbias2 = real(1 / (1 - beta2**updates))
    decay = real(0 if decoupled else weight_decay)
    shrink = real(1 - lr_now * weight_decay if decoupled else 1)
    workers = worker_count(threads, n, GRAIN)
    for w in prange(workers):
        i, j = chunk(n, workers, w), chunk(n, workers, w + 1)
        _adam(
            p[i:j],
            g[i:j],
            m[i:j],
            v[i:j],
            real(beta1),
            real(1 - beta1),
            real(beta2),
            real(1 - beta2),
            rate,
            unbias2,
            real(eps),
            decay,
            shrink,
        )
