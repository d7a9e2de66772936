"""Optimizer updates of flat buffers of parameters, gradients and state."""

from __future__ import annotations

import numpy as np

from nnkit.backends.contract import UPDATES, Array, Out, Update
from nnkit.backends.numpy.counters import current


def sgd(
    p: Out, g: Array, velocity: Out | None, update: Update, momentum: float, nesterov: bool
) -> None:
    x = _exact(p, update.master)
    rate = x.dtype.type(current(update.lr, update.counters))
    g = _penalized(g, x, update.weight_decay, update.l1)
    if velocity is not None:
        velocity *= momentum
        velocity += g
        g = g + momentum * velocity if nesterov else velocity
    x -= rate * g
    _settle(p, x)


def adaptive(
    p: Out, g: Array, squares: Out, update: Update, keep: float, add: float, eps: float
) -> None:
    x = _exact(p, update.master)
    g = _penalized(g, x, update.weight_decay, update.l1)
    squares *= keep
    squares += add * (g * g)
    x -= current(update.lr, update.counters) * g / (np.sqrt(squares) + eps)
    _settle(p, x)


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
) -> None:
    rate = current(update.lr, update.counters)
    t = int(update.counters[UPDATES]) + 1
    x = _exact(p, update.master)
    g = _penalized(g, x, 0.0 if decoupled else update.weight_decay, update.l1)
    if update.weight_decay and decoupled:
        x *= 1 - rate * update.weight_decay
    m *= beta1
    m += (1 - beta1) * g
    v *= beta2
    v += (1 - beta2) * (g * g)
    x -= rate / (1 - beta1**t) * m / (np.sqrt(v / (1 - beta2**t)) + eps)
    _settle(p, x)


def _exact(p: Array, master: Array | None) -> Array:
    """Return what an update changes: p, or its master, which takes over what p has been set to."""
    if master is None:
        return p
    np.copyto(master, p, where=master.astype(p.dtype) != p)
    return master


def _settle(p: Array, x: Array) -> None:
    """Round the parameters to p, unless p is what was changed."""
    if x is not p:
        p[...] = x


def _penalized(g: Array, p: Array, weight_decay: float, l1: float) -> Array:
    """Gradient with that of the penalties ``weight_decay p^2 / 2`` and ``l1 |p|``."""
    g = g.astype(p.dtype, copy=False)
    if weight_decay:
        g = g + weight_decay * p
    return g + l1 * np.sign(p) if l1 else g
