"""Updates of flat buffers of parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nnkit.backends.contract import Array, Out, Update
from nnkit.backends.cupy.launches import flat, real

if TYPE_CHECKING:
    from nnkit.backends.cupy.backend import CupyBackend


def sgd(
    backend: CupyBackend,
    p: Out,
    g: Array,
    velocity: Out | None,
    update: Update,
    momentum: float,
    nesterov: bool,
) -> None:
    head, penalties = (p, g, update.master), (real(p, update.weight_decay), real(p, update.l1))
    if velocity is None:
        args = *head, *_rate(update), *penalties
        flat(backend.launcher, "optimizers", "sgd", p, *args)
    else:
        numbers = real(p, momentum), np.int32(nesterov), *penalties
        args = *head, velocity, *_rate(update), *numbers
        flat(backend.launcher, "optimizers", "sgd_momentum", p, *args)


def adaptive(
    backend: CupyBackend,
    p: Out,
    g: Array,
    squares: Out,
    update: Update,
    keep: float,
    add: float,
    eps: float,
) -> None:
    numbers = keep, add, eps, update.weight_decay, update.l1
    args = p, g, update.master, squares, *_rate(update), *(real(p, x) for x in numbers)
    flat(backend.launcher, "optimizers", "adaptive", p, *args)


def adam(
    backend: CupyBackend,
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
    numbers = map(np.float64, (beta1, beta2, eps, update.weight_decay))
    tail = *numbers, np.int32(decoupled), real(p, update.l1)
    args = p, g, update.master, m, v, *_rate(update), *tail
    flat(backend.launcher, "optimizers", "adam", p, *args)


def _rate(update: Update) -> tuple[Any, ...]:
    """Return what a kernel looks the learning rate up by."""
    return update.lr, np.int32(update.lr.size), update.counters
