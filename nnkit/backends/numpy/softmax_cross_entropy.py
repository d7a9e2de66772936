"""Softmax, log-softmax, and cross-entropy of logits and of probabilities, row by row."""

from __future__ import annotations

import numpy as np

from nnkit.backends.contract import Array, Out
from nnkit.backends.numpy.counters import write_log
from nnkit.backends.numpy.gather import all_below
from nnkit.backends.numpy.weights import weighted


def softmax(x: Array, y: Out) -> None:
    with np.errstate(invalid="ignore"):
        np.exp(x - x.max(axis=-1, keepdims=True), out=y)
        y /= y.sum(axis=-1, keepdims=True)


def softmax_backward(dy: Array, y: Array, dx: Out) -> None:
    np.multiply(y, dy - (dy * y).sum(axis=-1, keepdims=True), out=dx)


def log_softmax(x: Array, y: Out) -> None:
    with np.errstate(invalid="ignore"):
        shifted = x - x.max(axis=-1, keepdims=True)
        np.subtract(shifted, np.log(np.exp(shifted).sum(axis=-1, keepdims=True)), out=y)


def log_softmax_backward(dy: Array, y: Array, dx: Out) -> None:
    np.subtract(dy, np.exp(y) * dy.sum(axis=-1, keepdims=True), out=dx)


def softmax_cross_entropy(
    z: Array, target: Array, dz: Out, log: Out, counters: Array, weights: Array | None
) -> None:
    n, classes = z.shape
    log_p, known = np.empty_like(z), True
    log_softmax(z, log_p)
    np.exp(log_p, out=dz)
    if target.ndim == 1:
        labels, known = target, all_below(target, classes)
        rows = np.arange(n)
        if not known:
            there = (target >= 0) & (target < classes)
            dz[~there] = 0
            rows, target = rows[there], target[there]
        costs = -log_p[rows, target]
        dz[rows, target] -= 1
    else:
        with np.errstate(invalid="ignore"):
            costs = -np.where(target == 0, 0, target * log_p)
        labels = target.argmax(axis=1)
        dz -= target
    np.divide(weighted(dz, weights), n, out=dz)
    if known:
        loss = weighted(costs, weights).sum(dtype=np.float64) / n
        right = weighted(z.argmax(axis=1) == labels, weights)
        write_log(log, counters, loss, right.sum(dtype=np.float64))
    else:
        write_log(log, counters, np.nan, np.nan)


def categorical_cross_entropy(
    y: Array,
    target: Array,
    dy: Out,
    log: Out,
    counters: Array,
    delta: float,
    weights: Array | None,
) -> None:
    target_weighted = weighted(target, weights)
    loss = -np.sum(target_weighted * np.log(y + delta), dtype=np.float64)
    np.divide(-target_weighted, (y + delta) * len(y), out=dy)
    right = weighted(y.argmax(axis=1) == target.argmax(axis=1), weights)
    write_log(log, counters, loss / len(y), right.sum(dtype=np.float64))
