"""Activations, with the bias in front and, backwards, the bias gradient behind, in one pass.

To add an activation: a row in FORMULAS. Each formula is compiled into
kernels of its own when it is first used. Numbers in them are made with `constant`, comparisons
written so that NaN comes out as NaN.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from nnkit.kernels.numba.denormals import flush_denormals, restore_denormals
from nnkit.kernels.numba.jit import Function, Kernel, body, helper, shared
from nnkit.kernels.numba.maths import (
    constant,
    exp,
    exp_nonpositive,
    expm1_nonpositive,
    log1p_unit,
    normal_tail,
)
from nnkit.kernels.numba.tasks import (
    add_rows,
    apart,
    fold_tile,
    repeat_row,
    same,
    share,
    tile_width,
)
from nnkit.kernels.numba.team import ME, barrier, my_chunk, my_range
from nnkit.kernels.table import ACTIVATIONS, SELU_ALPHA, SELU_SCALE, trainable

GRAIN = 1 << 15
"""Elements worth a thread."""
SUM_GRAIN = 1 << 15
"""Elements a task that adds up rows has at least."""
TILE = 2048
"""Elements in a tile: it stays in the first-level cache from one use to the next."""
SELU_LOWEST = SELU_SCALE * SELU_ALPHA


@helper
def sigmoid(x: Any) -> Any:
    """``1 / (1 + exp(-x))`` from ``exp(-|x|)``, which cannot overflow."""
    one = constant(x, 1)
    e = exp_nonpositive(-abs(x))
    return (one if x >= constant(x, 0) else e) / (one + e)


@helper
def tanh(x: Any) -> Any:
    """``(1 - e) / (1 + e)`` with ``e = exp(-2 |x|)``, and the sign of x."""
    e = expm1_nonpositive(constant(x, -2) * abs(x))
    return np.copysign(e / (e + constant(x, 2)), x)


@helper
def step(x: Any) -> Any:
    """1 if x > 0 else 0."""
    zero = constant(x, 0)
    if x <= zero:
        return zero
    return constant(x, 1) if x > zero else x


@helper
def bounded(x: Any, bound: Any) -> Any:
    """Give x within ±bound, so that its product with what is 0 there is 0 for an infinite x too."""
    b = constant(x, bound)
    low = -b if x < -b else x
    return b if low > b else low


@helper
def elu(x: Any, above: Any, below: Any) -> Any:
    """``above x`` if x > 0 else ``below (exp(x) - 1)``."""
    zero = constant(x, 0)
    low = below * expm1_nonpositive(zero if x > zero else x)
    return above * x if x > zero else low


@helper
def sigmoid_slope(x: Any) -> Any:
    """``sigmoid(x) (1 - sigmoid(x))``."""
    one = constant(x, 1)
    e = exp_nonpositive(-abs(x))
    return e / ((one + e) * (one + e))


@helper
def gelu(x: Any) -> Any:
    """``x Phi(x)``."""
    tail, _ = normal_tail(abs(x))
    lower = bounded(x, 40) * tail
    return lower if x < constant(x, 0) else x * (constant(x, 1) - tail)


@helper
def gelu_slope(x: Any) -> Any:
    """``Phi(x) + x exp(-x^2 / 2) / sqrt(2 pi)``."""
    tail, e = normal_tail(abs(x))
    phi = tail if x < constant(x, 0) else constant(x, 1) - tail
    return phi + bounded(x, 40) * e * constant(x, 0.3989422804014327)


@helper
def gelu_exponent(x: Any) -> Any:
    """``v = 2 sqrt(2 / pi) (x + 0.044715 x^3)``: the tanh form of GELU is ``x sigmoid(v)``."""
    cube = constant(x, 0.044715) * x * x
    return constant(x, 1.5957691216057308) * x * (constant(x, 1) + cube)


@helper
def gelu_tanh(x: Any) -> Any:
    """``x (1 + tanh(v / 2)) / 2``."""
    x40 = bounded(x, 40)
    return (x if x > constant(x, 0) else x40) * sigmoid(gelu_exponent(x40))


@helper
def gelu_tanh_slope(x: Any) -> Any:
    """``s + x v' s (1 - s)`` with ``s = sigmoid(v)``."""
    x = bounded(x, 40)
    v = gelu_exponent(x)
    slope = constant(x, 1.5957691216057308) * (constant(x, 1) + constant(x, 0.134145) * x * x)
    return sigmoid(v) + x * slope * sigmoid_slope(v)


@helper
def softplus(x: Any) -> Any:
    """``max(x, 0) + log(1 + exp(-|x|))``."""
    zero = constant(x, 0)
    return (zero if x < zero else x) + log1p_unit(exp_nonpositive(-abs(x)))


@helper
def softsign(x: Any) -> Any:
    """``x / (1 + |x|)``."""
    x = bounded(x, 1e30)
    return x / (constant(x, 1) + abs(x))


@helper
def silu(x: Any) -> Any:
    """``x sigmoid(x)``."""
    low = constant(x, -1000)
    return (low if x < low else x) * sigmoid(x)


@helper
def hard_sigmoid(x: Any) -> Any:
    """``min(max(x + 3, 0), 6) / 6``."""
    zero, six = constant(x, 0), constant(x, 6)
    shifted = x + constant(x, 3)
    low = zero if shifted < zero else shifted
    return (six if low > six else low) / six


@helper
def inside(dy: Any, y: Any) -> Any:
    """dy if 0 < y < 1 else 0."""
    low = dy if y > constant(y, 0) else constant(y, 0)
    return low if y < constant(y, 1) else constant(y, 0)


class Formula(NamedTuple):
    """An activation of one element."""

    forward: Function
    """y = f(x), of x and alpha."""
    gradient: Function | None
    """dy * f', of dy, the x or y that ``ACTIVATIONS[kind].saved`` names, and alpha; or None."""


FORMULAS = {
    "identity": Formula(lambda x, alpha: x, lambda dy, y, alpha: dy),
    "sigmoid": Formula(
        lambda x, alpha: sigmoid(x), lambda dy, y, alpha: dy * (y * (constant(y, 1) - y))
    ),
    "tanh": Formula(lambda x, alpha: tanh(x), lambda dy, y, alpha: dy * (constant(y, 1) - y * y)),
    "relu": Formula(
        lambda x, alpha: constant(x, 0) if x <= constant(x, 0) else x,
        lambda dy, y, alpha: dy if y > constant(y, 0) else constant(y, 0),
    ),
    "step": Formula(lambda x, alpha: step(x), None),
    "leaky_relu": Formula(
        lambda x, alpha: x if x > constant(x, 0) else alpha * x,
        lambda dy, y, alpha: dy if y > constant(y, 0) else alpha * dy,
    ),
    "elu": Formula(
        lambda x, alpha: elu(x, constant(x, 1), alpha),
        lambda dy, y, alpha: dy if y > constant(y, 0) else dy * (y + alpha),
    ),
    "selu": Formula(
        lambda x, alpha: elu(x, constant(x, SELU_SCALE), constant(x, SELU_LOWEST)),
        lambda dy, y, alpha: (
            dy * (constant(y, SELU_SCALE) if y > constant(y, 0) else y + constant(y, SELU_LOWEST))
        ),
    ),
    "gelu": Formula(lambda x, alpha: gelu(x), lambda dy, x, alpha: dy * gelu_slope(x)),
    "gelu_tanh": Formula(
        lambda x, alpha: gelu_tanh(x), lambda dy, x, alpha: dy * gelu_tanh_slope(x)
    ),
    "softplus": Formula(
        lambda x, alpha: softplus(x), lambda dy, y, alpha: -dy * expm1_nonpositive(-y)
    ),
    "softsign": Formula(
        lambda x, alpha: softsign(x),
        lambda dy, y, alpha: dy * ((constant(y, 1) - abs(y)) * (constant(y, 1) - abs(y))),
    ),
    "silu": Formula(
        lambda x, alpha: silu(x),
        lambda dy, x, alpha: dy * (sigmoid(x) + bounded(x, 1000) * sigmoid_slope(x)),
    ),
    "hard_sigmoid": Formula(
        lambda x, alpha: hard_sigmoid(x), lambda dy, y, alpha: inside(dy / constant(y, 6), y)
    ),
    "exponential": Formula(lambda x, alpha: exp(x), lambda dy, y, alpha: dy * y),
}


def _gradient(kind: str) -> Any:
    trainable(kind)
    gradient = FORMULAS[kind].gradient
    assert gradient is not None
    return helper(gradient)


@body
def _copy(x: Any, y: Any) -> None:
    for i in range(y.size):
        y[i] = x[i]


@body
def _add(x: Any, y: Any) -> None:
    for i in range(y.size):
        y[i] += x[i]


@cache
def activation(kind: str) -> Kernel:
    """Make the kernel ``y = f(x)`` for flat arrays x, y."""
    f = helper(FORMULAS[kind].forward)

    @body
    def elements(x: Any, y: Any, alpha: Any) -> None:
        for i in range(y.size):
            y[i] = f(x[i], alpha)

    @body
    def part(x: Any, y: Any, alpha: Any) -> None:
        scratch = np.empty(TILE if same(x, y) else 0, y.dtype)
        for i in range(0, y.size, TILE):
            j = min(i + TILE, y.size)
            elements(apart(x[i:j], scratch), y[i:j], alpha)

    @shared(GRAIN, kind)
    def activation(x: Any, y: Any, alpha: float, team: Any) -> None:
        a = y.dtype.type(alpha)
        i, j = my_chunk(y.size, team)
        part(x[i:j], y[i:j], a)

    return activation


@cache
def activation_backward(kind: str) -> Kernel:
    """Make the kernel ``dx = dy * f'(saved)`` for flat arrays dy, saved, dx."""
    g = _gradient(kind)

    @body
    def elements(dy: Any, saved: Any, dx: Any, alpha: Any) -> None:
        for i in range(dx.size):
            dx[i] = g(dy[i], saved[i], alpha)

    @body
    def part(dy: Any, saved: Any, dx: Any, alpha: Any) -> None:
        state = flush_denormals()
        scratch = np.empty(TILE if same(dy, dx) else 0, dx.dtype)
        for i in range(0, dx.size, TILE):
            j = min(i + TILE, dx.size)
            elements(apart(dy[i:j], scratch), saved[i:j], dx[i:j], alpha)
        restore_denormals(state)

    @shared(GRAIN, kind)
    def activation_backward(dy: Any, saved: Any, dx: Any, alpha: float, team: Any) -> None:
        a = dx.dtype.type(alpha)
        i, j = my_chunk(dx.size, team)
        part(dy[i:j], saved[i:j], dx[i:j], a)

    return activation_backward


@cache
def bias_activation(kind: str) -> Kernel:
    """Make the kernel ``y = f(z + bias)`` for z, y (n, m) and bias (m,).

    Where the gradient needs the input, `z` becomes ``z + bias``; otherwise it may be `y`.
    """
    f = helper(FORMULAS[kind].forward)
    keep = ACTIVATIONS[kind].saved == "x"

    @body
    def elements(z: Any, bias: Any, y: Any, alpha: Any) -> None:
        if keep:
            _add(bias, z)
            for i in range(y.size):
                y[i] = f(z[i], alpha)
        else:
            if not same(z, y):
                _copy(z, y)
            for i in range(y.size):
                y[i] = f(y[i] + bias[i], alpha)

    @body
    def part(z: Any, bias: Any, y: Any, alpha: Any) -> None:
        z, y = z.reshape(z.size), y.reshape(y.size)
        tile = np.empty(tile_width(y.size, bias.size), y.dtype)
        repeat_row(bias, tile)
        for i in range(0, y.size, tile.size):
            j = min(i + tile.size, y.size)
            elements(z[i:j], tile, y[i:j], alpha)

    @shared(GRAIN, kind)
    def bias_activation(z: Any, bias: Any, y: Any, alpha: float, team: Any) -> None:
        a = y.dtype.type(alpha)
        i, j = my_range(len(y), team)
        part(z[i:j], bias, y[i:j], a)

    return bias_activation


@cache
def bias_activation_backward(kind: str) -> Kernel:
    """Make the kernel ``dz = dy * f'(saved)``, ``dbias = sum of dz over rows``, of (n, m), (m,).

    `sums` (tasks, m) receives what each task adds up.
    """
    g = _gradient(kind)

    @body
    def elements(dy: Any, saved: Any, dz: Any, alpha: Any, total: Any) -> None:
        for i in range(dz.size):
            d = g(dy[i], saved[i], alpha)
            dz[i] = d
            total[i] += d

    @body
    def part(dy: Any, saved: Any, dz: Any, alpha: Any, dbias: Any) -> None:
        state = flush_denormals()
        dy, saved, dz = dy.reshape(dz.size), saved.reshape(dz.size), dz.reshape(dz.size)
        total = np.zeros(tile_width(dz.size, dbias.size), dz.dtype)
        scratch = np.empty(total.size if same(dy, dz) else 0, dz.dtype)
        for i in range(0, dz.size, total.size):
            j = min(i + total.size, dz.size)
            elements(apart(dy[i:j], scratch), saved[i:j], dz[i:j], alpha, total)
        fold_tile(total, dbias)
        restore_denormals(state)

    @shared(SUM_GRAIN, kind)
    def bias_activation_backward(
        dy: Any, saved: Any, dz: Any, dbias: Any, alpha: float, sums: Any, team: Any
    ) -> None:
        a = dz.dtype.type(alpha)
        n = len(dz)
        tasks = len(sums)
        first, last = my_range(tasks, team)
        for t in range(first, last):
            i, j = share(n, tasks, t), share(n, tasks, t + 1)
            part(dy[i:j], saved[i:j], dz[i:j], a, sums[t])
        barrier(team)
        if team[ME] == 0:
            add_rows(sums, dbias)

    return bias_activation_backward


@body
def _sum_rows(dy: Any, dbias: Any) -> None:
    dy = dy.reshape(dy.size)
    total = np.zeros(tile_width(dy.size, dbias.size), dy.dtype)
    for i in range(0, dy.size, total.size):
        _add(dy[i : i + total.size], total[: min(total.size, dy.size - i)])
    fold_tile(total, dbias)


@shared(SUM_GRAIN)
def bias_gradient(dy: Any, dbias: Any, sums: Any, team: Any) -> None:
    """``dbias = sum of dy over rows``, for (n, m) and (m,).

    `sums` (tasks, m) receives what each task adds up.
    """
    n = len(dy)
    tasks = len(sums)
    first, last = my_range(tasks, team)
    for t in range(first, last):
        _sum_rows(dy[share(n, tasks, t) : share(n, tasks, t + 1)], sums[t])
    barrier(team)
    if team[ME] == 0:
        add_rows(sums, dbias)
