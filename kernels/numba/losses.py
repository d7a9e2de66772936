"""Losses of single elements: value and gradient in one pass, for flat arrays.

To add one: a row in FORMULAS. Each is compiled into a kernel of its own when
it is first used. Numbers in the formulas are made with `constant`.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from nnkit.kernels.numba.codegen.denormals import flush_denormals, restore_denormals
from nnkit.kernels.numba.codegen.jit import Kernel, inline, shared
from nnkit.kernels.numba.counters import write_log
from nnkit.kernels.numba.formulas import sigmoid
from nnkit.kernels.numba.maths import constant, exp, exp_nonpositive, log1p_unit
from nnkit.kernels.numba.runtime.memory import ME
from nnkit.kernels.numba.runtime.tasks import chunk, sum_in_order
from nnkit.kernels.numba.runtime.team import barrier, my_range
from nnkit.kernels.numba.sums import plus
from nnkit.kernels.numba.weights import weight
from nnkit.kernels.table import LOSSES

GRAIN = 1 << 14
"""Elements worth a thread."""
BLOCK = 1024
"""Elements summed in the arrays' own dtype before float64 takes over."""


@inline
def _sigmoid_cross_entropy(y: Any, t: Any) -> Any:
    positive = constant(y, 0) if y <= constant(y, 0) else y
    return positive - y * t + log1p_unit(exp_nonpositive(-abs(y)))


def _binary_cross_entropy(y: Any, t: Any, delta: Any) -> Any:
    one = constant(y, 1)
    return -t * np.log(y + delta) - (one - t) * np.log(one - y + delta)


def _binary_cross_entropy_gradient(y: Any, t: Any, delta: Any) -> Any:
    one = constant(y, 1)
    return (one - t) / (one - y + delta) - t / (y + delta)


@inline
def _hinge(y: Any, t: Any) -> Any:
    margin = constant(y, 1) - t * y
    return constant(y, 0) if margin <= constant(y, 0) else margin


@inline
def _huber(d: Any, a: Any) -> Any:
    half = constant(d, 0.5)
    return a * (abs(d) - half * a) if abs(d) > a else half * d * d


@inline
def _clipped(d: Any, a: Any) -> Any:
    low = -a if d < -a else d
    return a if low > a else low


class Formula(NamedTuple):
    """A loss of an element y with the target t; a is the loss's number."""

    value: Callable[[Any, Any, Any], Any]
    gradient: Callable[[Any, Any, Any], Any]
    """The derivative by y."""


FORMULAS = {
    "sigmoid_cross_entropy": Formula(
        lambda y, t, a: _sigmoid_cross_entropy(y, t),
        lambda y, t, a: sigmoid(y) - t,
    ),
    "binary_cross_entropy": Formula(
        _binary_cross_entropy,
        _binary_cross_entropy_gradient,
    ),
    "mean_squared_error": Formula(
        lambda y, t, a: (y - t) * (y - t),
        lambda y, t, a: constant(y, 2) * (y - t),
    ),
    "half_squared_error": Formula(
        lambda y, t, a: constant(y, 0.5) * (y - t) * (y - t),
        lambda y, t, a: y - t,
    ),
    "hinge": Formula(
        lambda y, t, a: _hinge(y, t),
        lambda y, t, a: -t if t * y < constant(y, 1) else constant(y, 0),
    ),
    "huber": Formula(
        lambda y, t, a: _huber(y - t, a),
        lambda y, t, a: _clipped(y - t, a),
    ),
    "poisson": Formula(
        lambda y, t, a: exp(y) - t * y,
        lambda y, t, a: exp(y) - t,
    ),
}


@cache
def elementwise_loss(kind: str) -> Kernel:
    """Make the kernel of a loss, for flat arrays y, target, dy and the number the mean is over.

    `weights` are None, or those of rows of so many columns. `sums` (tasks, 2) of float64 receives
    each task's loss and right answers.
    """
    value, gradient = (inline(f) for f in FORMULAS[kind])
    counts = LOSSES[kind].threshold is not None
    threshold = LOSSES[kind].threshold or 0.0

    @inline
    def elements(y: Any, target: Any, dy: Any, inverse: Any, alpha: Any) -> tuple[Any, Any]:
        level, half = y.dtype.type(threshold), y.dtype.type(0.5)
        loss, correct = y.dtype.type(0), np.int32(0)
        for i in range(y.size):
            loss = plus(loss, value(y[i], target[i], alpha))
            correct += np.int32((y[i] > level) == (target[i] > half))
        # A loop that also writes would add in another order where arrays lie close together.
        for i in range(y.size):
            dy[i] = gradient(y[i], target[i], alpha) * inverse
        return loss, correct

    @inline
    def part(y: Any, target: Any, dy: Any, inverse: Any, alpha: Any, result: Any) -> None:
        state = flush_denormals()
        result[0] = result[1] = 0.0
        for i in range(0, y.size, BLOCK):
            j = min(i + BLOCK, y.size)
            loss, correct = elements(y[i:j], target[i:j], dy[i:j], inverse, alpha)
            result[0] += loss
            result[1] += correct
        restore_denormals(state)

    @inline
    def weighted_part(
        y: Any,
        target: Any,
        dy: Any,
        weights: Any,
        place: Any,
        inverse: Any,
        alpha: Any,
        result: Any,
    ) -> None:
        """Do as `part` for rows of so many columns with weights, from a place in them on."""
        state = flush_denormals()
        first, columns = place
        real, level = y.dtype.type, y.dtype.type(threshold)
        loss, correct = 0.0, 0.0
        for i in range(y.size):
            w = real(weight(weights, (first + i) // columns))
            loss += w * value(y[i], target[i], alpha)
            correct += w * ((y[i] > level) == (target[i] > real(0.5)))
            dy[i] = gradient(y[i], target[i], alpha) * (w * inverse)
        result[0], result[1] = loss, correct
        restore_denormals(state)

    @shared(GRAIN, kind)
    def elementwise_loss(
        y: Any,
        target: Any,
        dy: Any,
        log: Any,
        counters: Any,
        count: int,
        alpha: float,
        weights: Any,
        columns: int,
        sums: Any,
        team: Any,
    ) -> None:
        n = y.size
        inverse, a = y.dtype.type(1 / count), y.dtype.type(alpha)
        tasks = len(sums)
        first, last = my_range(tasks, team)
        for t in range(first, last):
            i, j = chunk(n, tasks, t), chunk(n, tasks, t + 1)
            if weights is None:
                part(y[i:j], target[i:j], dy[i:j], inverse, a, sums[t])
            else:
                place = i, columns
                weighted_part(y[i:j], target[i:j], dy[i:j], weights, place, inverse, a, sums[t])
        barrier(team)
        if team[ME] == 0:
            correct = sum_in_order(sums[:, 1]) if counts else 0.0
            write_log(log, counters, sum_in_order(sums[:, 0]) / count, correct)

    return elementwise_loss
