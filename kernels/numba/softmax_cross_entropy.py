"""Softmax, log-softmax, and cross-entropy of logits and of probabilities, row by row.

Rows are taken a tile at a time, which is read from memory once and stays in the cache until done.
The exponentials of narrow rows are computed over the tile as a whole: for ten classes too the
vector loop is long.
"""

from typing import Any

import numpy as np

from nnkit.kernels.numba.denormals import flush_denormals, restore_denormals
from nnkit.kernels.numba.jit import body, helper, shared
from nnkit.kernels.numba.maths import exp_nonpositive, from_order, order
from nnkit.kernels.numba.tasks import share, sum_in_order
from nnkit.kernels.numba.team import ME, barrier, my_range

STEP = 0
"""Place of the step in `counters`."""
GRAIN = 1 << 14
"""Elements worth a thread."""
TILE = 2048
"""Elements in a tile of narrow rows."""
WIDE = 256
"""Classes from which a row is long enough for vector loops of its own."""


@helper
def _minus(x: Any, a: Any, b: Any) -> Any:
    """``(x - a) - b`` in this order: ``x - (a + b)`` would lose the digits of b if a is large."""
    return (x - a) - b


@body
def _largest(row: Any) -> Any:
    """Give the largest element, NaN if there is one."""
    largest = order(row.dtype.type(-np.inf))
    for j in range(row.size):
        key = order(row[j])
        largest = key if key > largest else largest
    return from_order(largest)


@body
def _place(row: Any, value: Any) -> int:
    """Index of the first element that is `value` or NaN; the row's length if there is none."""
    for first in range(0, row.size, 256):
        part = row[first : first + 256]
        hits = np.int32(0)
        for j in range(part.size):
            hits += np.int32((part[j] == value) | (part[j] != part[j]))
        if hits > 0:
            for j in range(part.size):
                if part[j] == value or part[j] != part[j]:
                    return first + j
    return row.size  # type: ignore[no-any-return]


@body
def _is_answer(row: Any, label: int, largest: Any) -> bool:
    """Whether `label` is the place of the row's largest element, the first of equals."""
    if _place(row[label : label + 1], largest) > 0:
        return False
    return bool(_place(row[:label], largest) == label)


@body
def _subtract(row: Any, value: Any, out: Any) -> None:
    for j in range(row.size):
        out[j] = row[j] - value


@body
def _exp(y: Any) -> None:
    for j in range(y.size):
        y[j] = exp_nonpositive(y[j])


@body
def _sum(row: Any) -> Any:
    total = row.dtype.type(0)
    for j in range(row.size):
        total += row[j]
    return total


@body
def _exp_row(x: Any, largest: Any, y: Any) -> Any:
    total = x.dtype.type(0)
    for j in range(x.size):
        e = exp_nonpositive(x[j] - largest)
        y[j] = e
        total += e
    return total


@body
def _exp_tile(x: Any, y: Any, largest: Any, total: Any) -> None:
    """In each row ``y = exp(x - largest)``, with the largest element and the sum of y."""
    n, m = x.shape
    for i in range(n):
        largest[i] = _largest(x[i])
    if m >= WIDE:
        for i in range(n):
            total[i] = _exp_row(x[i], largest[i], y[i])
    else:
        for i in range(n):
            _subtract(x[i], largest[i], y[i])
        _exp(y.reshape(n * m))
        for i in range(n):
            total[i] = _sum(y[i])


@body
def _scale(row: Any, factor: Any) -> None:
    for j in range(row.size):
        row[j] *= factor


@helper
def _tile_rows(n: int, m: int) -> int:
    """Rows in a tile, at least 1."""
    return max(1, min(n, TILE // max(1, m)))


@body
def _softmax(x: Any, y: Any) -> None:
    n, m = x.shape
    rows = _tile_rows(n, m)
    largest, total = np.empty(rows, x.dtype), np.empty(rows, x.dtype)
    for i in range(0, n, rows):
        _exp_tile(x[i : i + rows], y[i : i + rows], largest, total)
        for k in range(min(rows, n - i)):
            _scale(y[i + k], x.dtype.type(1) / total[k])


@shared(GRAIN)
def softmax(x: Any, y: Any, team: Any) -> None:
    """``y = exp(x - max) / sum(exp(x - max))`` in each row of (n, m)."""
    i, j = my_range(len(x), team)
    _softmax(x[i:j], y[i:j])


@body
def _log_softmax(x: Any, y: Any) -> None:
    n, m = x.shape
    rows = _tile_rows(n, m)
    largest, total = np.empty(rows, x.dtype), np.empty(rows, x.dtype)
    e = np.empty((rows, m), x.dtype)
    for i in range(0, n, rows):
        last = min(i + rows, n)
        _exp_tile(x[i:last], e[: last - i], largest, total)
        for k in range(last - i):
            log_total = np.log(total[k])
            for j in range(m):
                y[i + k, j] = _minus(x[i + k, j], largest[k], log_total)


@shared(GRAIN)
def log_softmax(x: Any, y: Any, team: Any) -> None:
    """``y = x - max - log(sum(exp(x - max)))`` in each row of (n, m)."""
    i, j = my_range(len(x), team)
    _log_softmax(x[i:j], y[i:j])


@body
def _softmax_backward(dy: Any, y: Any, dx: Any) -> None:
    state = flush_denormals()
    for i in range(len(y)):
        dot = y.dtype.type(0)
        for j in range(y.shape[1]):
            dot += dy[i, j] * y[i, j]
        for j in range(y.shape[1]):
            dx[i, j] = y[i, j] * (dy[i, j] - dot)
    restore_denormals(state)


@shared(GRAIN)
def softmax_backward(dy: Any, y: Any, dx: Any, team: Any) -> None:
    """``dx = y * (dy - sum(dy * y))`` in each row of (n, m)."""
    i, j = my_range(len(y), team)
    _softmax_backward(dy[i:j], y[i:j], dx[i:j])


@body
def _log_softmax_backward(dy: Any, y: Any, dx: Any) -> None:
    state = flush_denormals()
    for i in range(len(y)):
        total = _sum(dy[i])
        for j in range(y.shape[1]):
            dx[i, j] = dy[i, j] - exp_nonpositive(y[i, j]) * total
    restore_denormals(state)


@shared(GRAIN)
def log_softmax_backward(dy: Any, y: Any, dx: Any, team: Any) -> None:
    """``dx = dy - exp(y) * sum(dy)`` in each row of (n, m)."""
    i, j = my_range(len(y), team)
    _log_softmax_backward(dy[i:j], y[i:j], dx[i:j])


@body
def _labels(z: Any, labels: Any, dz: Any, inverse: Any, result: Any) -> None:
    """Write the gradient of some rows; `result` receives their loss and right answers."""
    state = flush_denormals()
    n, m = z.shape
    rows = _tile_rows(n, m)
    largest, total = np.empty(rows, z.dtype), np.empty(rows, z.dtype)
    loss, correct = 0.0, 0
    for first in range(0, n, rows):
        _exp_tile(z[first : first + rows], dz[first : first + rows], largest, total)
        for k in range(min(rows, n - first)):
            i, label = first + k, labels[first + k]
            loss += np.log(np.float64(total[k])) - (z[i, label] - largest[k])
            correct += _is_answer(z[i], label, largest[k])
            probability = dz[i, label] / total[k]
            _scale(dz[i], inverse / total[k])
            dz[i, label] = (probability - z.dtype.type(1)) * inverse
    result[0], result[1] = loss, correct
    restore_denormals(state)


@body
def _report(sums: Any, n: int, log: Any, counters: Any, team: Any) -> None:
    """Log the mean loss of `n` rows and the right answers from the tasks' sums (tasks, 2)."""
    barrier(team)
    if team[ME] == 0:
        log[counters[STEP], 0] = sum_in_order(sums[:, 0]) / n
        log[counters[STEP], 1] = sum_in_order(sums[:, 1])


@body
def _weighted_sum(target: Any, z: Any, largest: Any) -> Any:
    """``sum(target * (z - largest))`` where the target is not 0: there z may be -inf."""
    zero = z.dtype.type(0)
    total = zero
    for j in range(z.size):
        product = target[j] * (z[j] - largest)
        total += zero if target[j] == zero else product
    return total


@body
def _rows(z: Any, target: Any, dz: Any, inverse: Any, result: Any) -> None:
    """Do as `_labels` for targets that are rows of probabilities."""
    state = flush_denormals()
    n, m = z.shape
    rows = _tile_rows(n, m)
    largest, total = np.empty(rows, z.dtype), np.empty(rows, z.dtype)
    loss, correct = 0.0, 0
    for first in range(0, n, rows):
        _exp_tile(z[first : first + rows], dz[first : first + rows], largest, total)
        for k in range(min(rows, n - first)):
            i = first + k
            loss += np.log(np.float64(total[k])) * _sum(target[i])
            loss -= _weighted_sum(target[i], z[i], largest[k])
            label = _place(target[i], _largest(target[i]))
            correct += _is_answer(z[i], label, largest[k])
            factor = inverse / total[k]
            for j in range(m):
                dz[i, j] = dz[i, j] * factor - target[i, j] * inverse
    result[0], result[1] = loss, correct
    restore_denormals(state)


@shared(GRAIN)
def softmax_cross_entropy(
    z: Any, target: Any, dz: Any, log: Any, counters: Any, sums: Any, team: Any
) -> None:
    """Mean loss, right answers and gradient of logits (n, m), for labels (n,) or rows (n, m)."""
    n = len(z)
    inverse = z.dtype.type(1 / n)
    tasks = len(sums)
    first, last = my_range(tasks, team)
    for t in range(first, last):
        i, j = share(n, tasks, t), share(n, tasks, t + 1)
        if target.ndim == 1:
            _labels(z[i:j], target[i:j], dz[i:j], inverse, sums[t])
        else:
            _rows(z[i:j], target[i:j], dz[i:j], inverse, sums[t])
    _report(sums, n, log, counters, team)


@body
def _probabilities(y: Any, target: Any, dy: Any, inverse: Any, delta: Any, result: Any) -> None:
    state = flush_denormals()
    loss, correct = 0.0, 0
    for i in range(len(y)):
        row = y.dtype.type(0)
        for j in range(y.shape[1]):
            row -= target[i, j] * np.log(y[i, j] + delta)
            dy[i, j] = -target[i, j] / (y[i, j] + delta) * inverse
        loss += row
        label = _place(target[i], _largest(target[i]))
        correct += _is_answer(y[i], label, _largest(y[i]))
    result[0], result[1] = loss, correct
    restore_denormals(state)


@shared(GRAIN)
def categorical_cross_entropy(
    y: Any, target: Any, dy: Any, log: Any, counters: Any, delta: float, sums: Any, team: Any
) -> None:
    """Mean loss, right answers and gradient of probabilities (n, m) for rows of them (n, m)."""
    n = len(y)
    inverse = y.dtype.type(1 / n)
    tasks = len(sums)
    first, last = my_range(tasks, team)
    for t in range(first, last):
        i, j = share(n, tasks, t), share(n, tasks, t + 1)
        _probabilities(y[i:j], target[i:j], dy[i:j], inverse, y.dtype.type(delta), sums[t])
    _report(sums, n, log, counters, team)
