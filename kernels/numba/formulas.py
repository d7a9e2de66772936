"""The activations' formulas for one element.

To add an activation: a row in FORMULAS. Numbers in a formula are made with `constant`, comparisons
written so that NaN comes out as NaN.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nnkit.kernels.numba.codegen.jit import inline
from nnkit.kernels.numba.maths import (
    constant,
    exp,
    exp_nonpositive,
    expm1_nonpositive,
    log1p_unit,
)
from nnkit.kernels.numba.normal import normal_tail
from nnkit.kernels.table import SELU_ALPHA, SELU_SCALE

SELU_LOWEST = SELU_SCALE * SELU_ALPHA


@inline
def sigmoid(x: Any) -> Any:
    """``1 / (1 + exp(-x))`` from ``exp(-|x|)``, which cannot overflow."""
    one = constant(x, 1)
    e = exp_nonpositive(-abs(x))
    return (one if x >= constant(x, 0) else e) / (one + e)


@inline
def tanh(x: Any) -> Any:
    """``(1 - e) / (1 + e)`` with ``e = exp(-2 |x|)``, and the sign of x."""
    e = expm1_nonpositive(constant(x, -2) * abs(x))
    return np.copysign(e / (e + constant(x, 2)), x)


@inline
def step(x: Any) -> Any:
    """1 if x > 0 else 0."""
    zero = constant(x, 0)
    if x <= zero:
        return zero
    return constant(x, 1) if x > zero else x


@inline
def bounded(x: Any, bound: Any) -> Any:
    """Give x within ±bound, so that its product with what is 0 there is 0 for an infinite x too."""
    b = constant(x, bound)
    low = -b if x < -b else x
    return b if low > b else low


@inline
def elu(x: Any, above: Any, below: Any) -> Any:
    """``above x`` if x > 0 else ``below (exp(x) - 1)``."""
    zero = constant(x, 0)
    low = below * expm1_nonpositive(zero if x > zero else x)
    return above * x if x > zero else low


@inline
def sigmoid_slope(x: Any) -> Any:
    """``sigmoid(x) (1 - sigmoid(x))``."""
    one = constant(x, 1)
    e = exp_nonpositive(-abs(x))
    return e / ((one + e) * (one + e))


@inline
def gelu(x: Any) -> Any:
    """``x Phi(x)``."""
    tail, _ = normal_tail(abs(x))
    lower = bounded(x, 40) * tail
    return lower if x < constant(x, 0) else x * (constant(x, 1) - tail)


@inline
def gelu_slope(x: Any) -> Any:
    """``Phi(x) + x exp(-x^2 / 2) / sqrt(2 pi)``."""
    tail, e = normal_tail(abs(x))
    phi = tail if x < constant(x, 0) else constant(x, 1) - tail
    return phi + bounded(x, 40) * e * constant(x, 0.3989422804014327)


@inline
def gelu_exponent(x: Any) -> Any:
    """``v = 2 sqrt(2 / pi) (x + 0.044715 x^3)``: the tanh form of GELU is ``x sigmoid(v)``."""
    cube = constant(x, 0.044715) * x * x
    return constant(x, 1.5957691216057308) * x * (constant(x, 1) + cube)


@inline
def gelu_tanh(x: Any) -> Any:
    """``x (1 + tanh(v / 2)) / 2``."""
    x40 = bounded(x, 40)
    return (x if x > constant(x, 0) else x40) * sigmoid(gelu_exponent(x40))


@inline
def gelu_tanh_slope(x: Any) -> Any:
    """``s + x v' s (1 - s)`` with ``s = sigmoid(v)``."""
    x = bounded(x, 40)
    v = gelu_exponent(x)
    slope = constant(x, 1.5957691216057308) * (constant(x, 1) + constant(x, 0.134145) * x * x)
    return sigmoid(v) + x * slope * sigmoid_slope(v)


@inline
def softplus(x: Any) -> Any:
    """``max(x, 0) + log(1 + exp(-|x|))``."""
    zero = constant(x, 0)
    return (zero if x < zero else x) + log1p_unit(exp_nonpositive(-abs(x)))


@inline
def softsign(x: Any) -> Any:
    """``x / (1 + |x|)``."""
    x = bounded(x, 1e30)
    return x / (constant(x, 1) + abs(x))


@inline
def silu(x: Any) -> Any:
    """``x sigmoid(x)``."""
    low = constant(x, -1000)
    return (low if x < low else x) * sigmoid(x)


@inline
def hard_sigmoid(x: Any) -> Any:
    """``min(max(x + 3, 0), 6) / 6``."""
    zero, six = constant(x, 0), constant(x, 6)
    shifted = x + constant(x, 3)
    low = zero if shifted < zero else shifted
    return (six if low > six else low) / six


@inline
def inside(dy: Any, y: Any) -> Any:
    """dy if 0 < y < 1 else 0."""
    low = dy if y > constant(y, 0) else constant(y, 0)
    return low if y < constant(y, 1) else constant(y, 0)


class Formula(NamedTuple):
    """One activation."""

    forward: Callable[[Any, Any], Any]
    """y = f(x)."""
    gradient: Any
    """dy f', in terms of what ``ACTIVATIONS[kind].saved`` names; None where there is none."""


FORMULAS = {
    "identity": Formula(
        lambda x, alpha: x,
        lambda dy, y, alpha: dy,
    ),
    "sigmoid": Formula(
        lambda x, alpha: sigmoid(x),
        lambda dy, y, alpha: dy * (y * (constant(y, 1) - y)),
    ),
    "tanh": Formula(
        lambda x, alpha: tanh(x),
        lambda dy, y, alpha: dy * (constant(y, 1) - y * y),
    ),
    "relu": Formula(
        lambda x, alpha: constant(x, 0) if x <= constant(x, 0) else x,
        lambda dy, y, alpha: dy if y > constant(y, 0) else constant(y, 0),
    ),
    "step": Formula(
        lambda x, alpha: step(x),
        None,
    ),
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
    "gelu": Formula(
        lambda x, alpha: gelu(x),
        lambda dy, x, alpha: dy * gelu_slope(x),
    ),
    "gelu_tanh": Formula(
        lambda x, alpha: gelu_tanh(x),
        lambda dy, x, alpha: dy * gelu_tanh_slope(x),
    ),
    "softplus": Formula(
        lambda x, alpha: softplus(x),
        lambda dy, y, alpha: -dy * expm1_nonpositive(-y),
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
        lambda x, alpha: hard_sigmoid(x),
        lambda dy, y, alpha: inside(dy / constant(y, 6), y),
    ),
    "exponential": Formula(
        lambda x, alpha: exp(x),
        lambda dy, y, alpha: dy * y,
    ),
}
