"""Losses of each output against a target of its own. To add one: a row in LOSS."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nnkit.backends.contract import Array, Out
from nnkit.backends.numpy.activations import sigmoid
from nnkit.backends.numpy.counters import write_log
from nnkit.backends.numpy.weights import weighted
from nnkit.kernels.table import LOSSES

LOSS: dict[str, Callable[[Array, Array, float], tuple[Array, Array]]] = {
    "sigmoid_cross_entropy": lambda y, t, alpha: (
        np.maximum(y, 0) - y * t + np.log1p(np.exp(-np.abs(y))),
        sigmoid(y) - t,
    ),
    "binary_cross_entropy": lambda y, t, delta: (
        -t * np.log(y + delta) - (1 - t) * np.log(1 - y + delta),
        (1 - t) / (1 - y + delta) - t / (y + delta),
    ),
    "mean_squared_error": lambda y, t, alpha: (np.square(y - t), 2 * (y - t)),
    "half_squared_error": lambda y, t, alpha: (np.square(y - t) / 2, y - t),
    "hinge": lambda y, t, alpha: (np.maximum(1 - t * y, 0), np.where(t * y < 1, -t, 0)),
    "huber": lambda y, t, a: (
        np.where(abs(y - t) > a, a * (abs(y - t) - a / 2), np.square(y - t) / 2),
        np.clip(y - t, -a, a),
    ),
    "poisson": lambda y, t, alpha: (np.exp(y) - t * y, np.exp(y) - t),
}
"""Loss and derivative of each element."""


def elementwise_loss(
    kind: str,
    y: Array,
    target: Array,
    dy: Out,
    log: Out,
    counters: Array,
    alpha: float,
    weights: Array | None,
) -> None:
    about = LOSSES[kind]
    count = y.size if about.mean_over == "elements" else len(y)
    with np.errstate(invalid="ignore", over="ignore"):
        loss, gradient = LOSS[kind](y, target, alpha)
    np.divide(weighted(gradient, weights), count, out=dy)
    right = 0
    if about.threshold is not None:
        answers = (y > about.threshold) == (target > 0.5)
        right = weighted(answers, weights).sum(dtype=np.float64)
    write_log(log, counters, weighted(loss, weights).sum(dtype=np.float64) / count, right)
