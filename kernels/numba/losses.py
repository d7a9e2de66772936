"""Losses of single elements: value and gradient in one pass, for flat arrays."""

from typing import Any

import numpy as np
from numba import prange

from nnkit.kernels.numba.activations import sigmoid
from nnkit.kernels.numba.counters import STEP
from nnkit.kernels.numba.denormals import flush_denormals, restore_denormals
from nnkit.kernels.numba.jit import body, threaded
from nnkit.kernels.numba.maths import exp_nonpositive, log1p_unit
from nnkit.kernels.numba.tasks import chunk, share, sum_in_order, task_count

GRAIN = 1 << 14
"""Elements worth a thread."""
BLOCK = 1024
"""Elements summed in the arrays' own dtype before float64 takes over."""


@body
def _sigmoid_cross_entropy(z: Any, target: Any, dz: Any, inverse: Any) -> tuple[Any, Any]:
    zero, half = z.dtype.type(0), z.dtype.type(0.5)
    loss, correct = zero, np.int32(0)
    for i in range(z.size):
        x, t = z[i], target[i]
        loss += (zero if x <= zero else x) - x * t + log1p_unit(exp_nonpositive(-abs(x)))
        dz[i] = (sigmoid(x) - t) * inverse
        correct += np.int32((x > zero) == (t > half))
    return loss, correct


@body
def _sigmoid_cross_entropy_part(z: Any, target: Any, dz: Any, inverse: Any, result: Any) -> None:
    state = flush_denormals()
    result[0] = result[1] = 0.0
    for i in range(0, z.size, BLOCK):
        j = min(i + BLOCK, z.size)
        loss, correct = _sigmoid_cross_entropy(z[i:j], target[i:j], dz[i:j], inverse)
        result[0] += loss
        result[1] += correct
    restore_denormals(state)


@threaded(GRAIN)
def sigmoid_cross_entropy(
    z: Any, target: Any, dz: Any, log: Any, counters: Any, threads: int
) -> None:
    """``max(z, 0) - z * target + log(1 + exp(-|z|))``, ``dz = (sigmoid(z) - target) / z.size``."""
    n = z.size
    inverse = z.dtype.type(1 / n)
    tasks = task_count(n, n, GRAIN)
    results = np.empty((tasks, 2))
    workers = min(threads, tasks)
    for w in prange(workers):
        for t in range(share(tasks, workers, w), share(tasks, workers, w + 1)):
            i, j = chunk(n, tasks, t), chunk(n, tasks, t + 1)
            _sigmoid_cross_entropy_part(z[i:j], target[i:j], dz[i:j], inverse, results[t])
    log[counters[STEP], 0] = sum_in_order(results[:, 0]) / n
    log[counters[STEP], 1] = sum_in_order(results[:, 1])


@body
def _mean_squared_error_part(y: Any, target: Any, dy: Any, factor: Any, result: Any) -> None:
    state = flush_denormals()
    loss = 0.0
    for i in range(y.size):
        difference = y[i] - target[i]
        dy[i] = difference * factor
        loss += np.float64(difference) * np.float64(difference)
    result[0] = loss
    restore_denormals(state)


@threaded(GRAIN)
def mean_squared_error(y: Any, target: Any, dy: Any, log: Any, counters: Any, threads: int) -> None:
    """``mean((y - target)**2)``, ``dy = 2 * (y - target) / y.size``."""
    n = y.size
    factor = y.dtype.type(2 / n)
    tasks = task_count(n, n, GRAIN)
    results = np.empty((tasks, 1))
    workers = min(threads, tasks)
    for w in prange(workers):
        for t in range(share(tasks, workers, w), share(tasks, workers, w + 1)):
            i, j = chunk(n, tasks, t), chunk(n, tasks, t + 1)
            _mean_squared_error_part(y[i:j], target[i:j], dy[i:j], factor, results[t])
    log[counters[STEP], 0] = sum_in_order(results[:, 0]) / n
    log[counters[STEP], 1] = 0.0
