"""Softmax, log-softmax, and cross-entropy of logits and of probabilities, row by row."""

from typing import Any

import numpy as np

from nnkit.kernels.numba.codegen.denormals import flush_denormals, restore_denormals
from nnkit.kernels.numba.codegen.jit import inline, shared
from nnkit.kernels.numba.counters import write_log
from nnkit.kernels.numba.maths import exp_nonpositive
from nnkit.kernels.numba.rows import (
    add_up,
    exp_tile,
    find_largest,
    find_place,
    is_answer,
    scale,
    tile_rows,
)
from nnkit.kernels.numba.runtime.memory import ME
from nnkit.kernels.numba.runtime.tasks import share, sum_in_order
from nnkit.kernels.numba.runtime.team import barrier, my_range
from nnkit.kernels.numba.sums import plus
from nnkit.kernels.numba.weights import of_rows, weight

GRAIN = 1 << 14
"""Elements worth a thread."""


@inline
def _softmax(x: Any, y: Any) -> None:
    n, m = x.shape
    rows = tile_rows(n, m)
    largest, total = np.empty(rows, x.dtype), np.empty(rows, x.dtype)
    for i in range(0, n, rows):
        exp_tile(x[i : i + rows], y[i : i + rows], largest, total)
        for k in range(min(rows, n - i)):
            scale(y[i + k], x.dtype.type(1) / total[k])


@shared(GRAIN)
def softmax(x: Any, y: Any, team: Any) -> None:
    """``y = exp(x - max) / sum(exp(x - max))`` in each row of (n, m)."""
    i, j = my_range(len(x), team)
    _softmax(x[i:j], y[i:j])


@inline
def _log_softmax(x: Any, y: Any) -> None:
    n, m = x.shape
    rows = tile_rows(n, m)
    largest, total = np.empty(rows, x.dtype), np.empty(rows, x.dtype)
    e = np.empty((rows, m), x.dtype)
    for i in range(0, n, rows):
        last = min(i + rows, n)
        exp_tile(x[i:last], e[: last - i], largest, total)
        for k in range(last - i):
            log_total = np.log(total[k])
            for j in range(m):
                y[i + k, j] = (x[i + k, j] - largest[k]) - log_total


@shared(GRAIN)
def log_softmax(x: Any, y: Any, team: Any) -> None:
    """``y = x - max - log(sum(exp(x - max)))`` in each row of (n, m)."""
    i, j = my_range(len(x), team)
    _log_softmax(x[i:j], y[i:j])


@inline
def _softmax_backward(dy: Any, y: Any, dx: Any) -> None:
    state = flush_denormals()
    for i in range(len(y)):
        dot = y.dtype.type(0)
        for j in range(y.shape[1]):
            dot = plus(dot, dy[i, j] * y[i, j])
        for j in range(y.shape[1]):
            dx[i, j] = y[i, j] * (dy[i, j] - dot)
    restore_denormals(state)


@shared(GRAIN)
def softmax_backward(dy: Any, y: Any, dx: Any, team: Any) -> None:
    """``dx = y * (dy - sum(dy * y))`` in each row of (n, m)."""
    i, j = my_range(len(y), team)
    _softmax_backward(dy[i:j], y[i:j], dx[i:j])


@inline
def _log_softmax_backward(dy: Any, y: Any, dx: Any) -> None:
    state = flush_denormals()
    for i in range(len(y)):
        total = add_up(dy[i])
        for j in range(y.shape[1]):
            dx[i, j] = dy[i, j] - exp_nonpositive(y[i, j]) * total
    restore_denormals(state)


@shared(GRAIN)
def log_softmax_backward(dy: Any, y: Any, dx: Any, team: Any) -> None:
    """``dx = dy - exp(y) * sum(dy)`` in each row of (n, m)."""
    i, j = my_range(len(y), team)
    _log_softmax_backward(dy[i:j], y[i:j], dx[i:j])


@inline
def _labels(z: Any, labels: Any, dz: Any, weights: Any, inverse: Any, result: Any) -> None:
    """Write the gradient of some rows; `result` receives their loss and right answers.

    A label that is no class makes both NaN, and takes no part in the gradient.
    """
    state = flush_denormals()
    n, m = z.shape
    rows = tile_rows(n, m)
    largest, total = np.empty(rows, z.dtype), np.empty(rows, z.dtype)
    loss, correct = 0.0, 0.0
    for first in range(0, n, rows):
        exp_tile(z[first : first + rows], dz[first : first + rows], largest, total)
        for k in range(min(rows, n - first)):
            i, label = first + k, labels[first + k]
            if not 0 <= label < m:
                loss = correct = np.nan
                dz[i, :] = 0
                continue
            w = weight(weights, i)
            loss += w * (np.log(np.float64(total[k])) - (z[i, label] - largest[k]))
            correct += w * is_answer(z[i], label, largest[k])
            probability, share = dz[i, label] / total[k], z.dtype.type(w) * inverse
            scale(dz[i], share / total[k])
            dz[i, label] = (probability - z.dtype.type(1)) * share
    result[0], result[1] = loss, correct
    restore_denormals(state)


@inline
def _report(sums: Any, n: int, log: Any, counters: Any, team: Any) -> None:
    """Log the mean loss of `n` rows and the right answers from the tasks' sums (tasks, 2)."""
    barrier(team)
    if team[ME] == 0:
        write_log(log, counters, sum_in_order(sums[:, 0]) / n, sum_in_order(sums[:, 1]))


@inline
def _weighted_sum(target: Any, z: Any, largest: Any) -> Any:
    """``sum(target * (z - largest))`` where the target is not 0: there z may be -inf."""
    zero = z.dtype.type(0)
    total = zero
    for j in range(z.size):
        product = target[j] * (z[j] - largest)
        total = plus(total, zero if target[j] == zero else product)
    return total


@inline
def _rows(z: Any, target: Any, dz: Any, weights: Any, inverse: Any, result: Any) -> None:
    """Do as `_labels` for targets that are rows of probabilities."""
    state = flush_denormals()
    n, m = z.shape
    rows = tile_rows(n, m)
    largest, total = np.empty(rows, z.dtype), np.empty(rows, z.dtype)
    loss, correct = 0.0, 0.0
    for first in range(0, n, rows):
        exp_tile(z[first : first + rows], dz[first : first + rows], largest, total)
        for k in range(min(rows, n - first)):
            i = first + k
            w = weight(weights, i)
            loss += w * (np.log(np.float64(total[k])) * add_up(target[i]))
            loss -= w * np.float64(_weighted_sum(target[i], z[i], largest[k]))
            label = find_place(target[i], find_largest(target[i]))
            correct += w * is_answer(z[i], label, largest[k])
            share = z.dtype.type(w) * inverse
            factor = share / total[k]
            for j in range(m):
                dz[i, j] = dz[i, j] * factor - target[i, j] * share
    result[0], result[1] = loss, correct
    restore_denormals(state)


@shared(GRAIN)
def softmax_cross_entropy(
    z: Any, target: Any, dz: Any, log: Any, counters: Any, weights: Any, sums: Any, team: Any
) -> None:
    """Mean loss, right answers and gradient of logits (n, m), for labels (n,) or rows (n, m).

    `weights` are of the rows, or None.
    """
    n = len(z)
    inverse = z.dtype.type(1 / n)
    tasks = len(sums)
    first, last = my_range(tasks, team)
    for t in range(first, last):
        i, j = share(n, tasks, t), share(n, tasks, t + 1)
        w = of_rows(weights, i, j)
        if target.ndim == 1:
            _labels(z[i:j], target[i:j], dz[i:j], w, inverse, sums[t])
        else:
            _rows(z[i:j], target[i:j], dz[i:j], w, inverse, sums[t])
    _report(sums, n, log, counters, team)


@inline
def _probabilities(
    y: Any, target: Any, dy: Any, weights: Any, inverse: Any, delta: Any, result: Any
) -> None:
    state = flush_denormals()
    loss, correct = 0.0, 0.0
    for i in range(len(y)):
        w = weight(weights, i)
        row, share = y.dtype.type(0), y.dtype.type(w) * inverse
        for j in range(y.shape[1]):
            row = plus(row, target[i, j] * np.log(y[i, j] + delta))
            dy[i, j] = -target[i, j] / (y[i, j] + delta) * share
        loss -= w * np.float64(row)
        label = find_place(target[i], find_largest(target[i]))
        correct += w * is_answer(y[i], label, find_largest(y[i]))
    result[0], result[1] = loss, correct
    restore_denormals(state)


@shared(GRAIN)
def categorical_cross_entropy(
    y: Any,
    target: Any,
    dy: Any,
    log: Any,
    counters: Any,
    delta: float,
    weights: Any,
    sums: Any,
    team: Any,
) -> None:
    """Mean loss, right answers and gradient of probabilities (n, m) for rows of them (n, m).

    `weights` are of the rows, or None.
    """
    n = len(y)
    inverse = y.dtype.type(1 / n)
    tasks = len(sums)
    first, last = my_range(tasks, team)
    for t in range(first, last):
        i, j = share(n, tasks, t), share(n, tasks, t + 1)
        w, d = of_rows(weights, i, j), y.dtype.type(delta)
        _probabilities(y[i:j], target[i:j], dy[i:j], w, inverse, d, sums[t])
    _report(sums, n, log, counters, team)
