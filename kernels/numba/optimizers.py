"""Optimizer updates: one pass over flat buffers of parameters, gradients and state."""

from typing import Any

import numpy as np

from nnkit.kernels.numba.codegen.denormals import flush_denormals, restore_denormals
from nnkit.kernels.numba.codegen.jit import inline, shared
from nnkit.kernels.numba.counters import UPDATES, learning_rate
from nnkit.kernels.numba.maths import constant
from nnkit.kernels.numba.runtime.team import my_chunk

GRAIN = 1 << 15
"""Elements worth a thread."""


@inline
def _penalized(g: Any, p: Any, decay: Any, l1: Any) -> Any:
    """Gradient with that of the penalties ``decay p^2 / 2`` and ``l1 |p|``."""
    zero = constant(p, 0)
    d = g + decay * p if decay != zero else g
    sign = (l1 if p > zero else zero) - (l1 if p < zero else zero)
    return d + sign if l1 != zero else d


@inline
def _sgd(p: Any, g: Any, rate: Any, decay: Any, l1: Any) -> None:
    state = flush_denormals()
    for i in range(p.size):
        p[i] -= rate * _penalized(g[i], p[i], decay, l1)
    restore_denormals(state)


@shared(GRAIN)
def sgd(p: Any, g: Any, lr: Any, counters: Any, weight_decay: float, l1: float, team: Any) -> None:
    """``p -= lr * (g + weight_decay * p + l1 * sign(p))``."""
    real = p.dtype.type
    rate = real(learning_rate(lr, counters))
    i, j = my_chunk(p.size, team)
    _sgd(p[i:j], g[i:j], rate, real(weight_decay), real(l1))


@inline
def _sgd_momentum(
    p: Any, g: Any, velocity: Any, rate: Any, momentum: Any, nesterov: bool, decay: Any, l1: Any
) -> None:
    state = flush_denormals()
    for i in range(p.size):
        d = _penalized(g[i], p[i], decay, l1)
        v = momentum * velocity[i] + d
        velocity[i] = v
        p[i] -= rate * (d + momentum * v if nesterov else v)
    restore_denormals(state)


@shared(GRAIN)
def sgd_momentum(
    p: Any,
    g: Any,
    velocity: Any,
    lr: Any,
    counters: Any,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
    l1: float,
    team: Any,
) -> None:
    """``g += penalties; v = momentum * v + g; p -= lr * (g + momentum * v or v)``."""
    real = p.dtype.type
    rate = real(learning_rate(lr, counters))
    mu, decay = real(momentum), real(weight_decay)
    i, j = my_chunk(p.size, team)
    _sgd_momentum(p[i:j], g[i:j], velocity[i:j], rate, mu, nesterov, decay, real(l1))


@inline
def _adaptive(
    p: Any, g: Any, squares: Any, rate: Any, keep: Any, add: Any, eps: Any, decay: Any, l1: Any
) -> None:
    state = flush_denormals()
    for i in range(p.size):
        d = _penalized(g[i], p[i], decay, l1)
        square = keep * squares[i] + add * (d * d)
        squares[i] = square
        p[i] -= rate * d / (np.sqrt(square) + eps)
    restore_denormals(state)


@shared(GRAIN)
def adaptive(
    p: Any,
    g: Any,
    squares: Any,
    lr: Any,
    counters: Any,
    keep: float,
    add: float,
    eps: float,
    weight_decay: float,
    l1: float,
    team: Any,
) -> None:
    """``g += penalties; squares = keep * squares + add * g**2; p -= lr * g / (root + eps)``."""
    real = p.dtype.type
    rate = real(learning_rate(lr, counters))
    decay, penalty = real(weight_decay), real(l1)
    i, j = my_chunk(p.size, team)
    _adaptive(p[i:j], g[i:j], squares[i:j], rate, real(keep), real(add), real(eps), decay, penalty)


@inline
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
    l1: Any,
) -> None:
    state = flush_denormals()
    for i in range(p.size):
        q = p[i]
        d = _penalized(g[i], q, decay, l1)
        mean = beta1 * m[i] + rest1 * d
        square = beta2 * v[i] + rest2 * (d * d)
        m[i] = mean
        v[i] = square
        p[i] = shrink * q - rate * mean / (np.sqrt(square * unbias2) + eps)
    restore_denormals(state)


@shared(GRAIN)
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
    l1: float,
    team: Any,
) -> None:
    """Adam, or AdamW where the weight decay is decoupled."""
    real = p.dtype.type
    lr_now = learning_rate(lr, counters)
    updates = np.float64(counters[UPDATES] + 1)  # a whole exponent would be multiplied out
    rate = real(lr_now / (1 - beta1**updates))
    unbias2 = real(1 / (1 - beta2**updates))
    decay = real(0 if decoupled else weight_decay)
    shrink = real(1 - lr_now * weight_decay if decoupled else 1)
    i, j = my_chunk(p.size, team)
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
        real(l1),
    )
