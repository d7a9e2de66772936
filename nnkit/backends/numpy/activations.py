"""Activations and their gradients, with the bias in front or its gradient behind.

To add an activation: a row in FORMULAS.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nnkit.backends.contract import Array, Out
from nnkit.backends.numpy.normal import cdf
from nnkit.kernels.table import SELU_ALPHA, SELU_SCALE, trainable

SELU_LOWEST = SELU_SCALE * SELU_ALPHA
GELU_SLOPE, GELU_CUBE = 2 * math.sqrt(2 / math.pi), 0.044715


class Formula(NamedTuple):
    """An activation: ``y = f(x)``, and its derivative in terms of what the table says is saved."""

    forward: Callable[[Array, float], Array]
    """f(x), of x and alpha."""
    gradient: Callable[[Array, Array, float], Array] | None
    """dy * f', of dy, the saved x or y, and alpha; None where it cannot be trained through."""


def sigmoid(x: Array) -> Array:
    """``1 / (1 + exp(-x))``, exact at both ends: exp() is of -|x|, so it cannot overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def _elu(x: Array, above: float, below: float) -> Array:
    return np.where(x > 0, above * x, below * np.expm1(np.minimum(x, 0)))


def _softsign(x: Array) -> Array:
    x = np.clip(x, -1e30, 1e30)
    return x / (1 + np.abs(x))


def _gate(x: Array, v: Array) -> Array:
    """``x sigmoid(v)``, and 0 where sigmoid(v) is 0, for x = -inf too."""
    return np.maximum(x, -1000) * sigmoid(v)


def _gate_slope(dy: Array, x: Array, v: Array, slope: Array | float) -> Array:
    """``dy (s + x slope s (1 - s))`` with ``s = sigmoid(v)``."""
    e = np.exp(-np.abs(v))
    return dy * (np.where(v >= 0, 1, e) / (1 + e) + x * slope * e / np.square(1 + e))


def _gelu_gradient(dy: Array, x: Array) -> Array:
    x = np.clip(x, -40, 40)
    return dy * (cdf(x) + x * np.exp(-np.square(x) / 2) / math.sqrt(2 * math.pi))


def _gelu_exponent(x: Array) -> Array:
    """``v = 2 sqrt(2 / pi) (x + 0.044715 x^3)``: ``(1 + tanh(v / 2)) / 2 = sigmoid(v)``."""
    return GELU_SLOPE * x * (1 + GELU_CUBE * np.square(x))


def _gelu_tanh_gradient(dy: Array, x: Array) -> Array:
    x = np.clip(x, -40, 40)
    slope = GELU_SLOPE * (1 + 3 * GELU_CUBE * np.square(x))
    return _gate_slope(dy, x, _gelu_exponent(x), slope)


def _exponential(x: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.exp(x)


FORMULAS = {
    "identity": Formula(lambda x, alpha: x, lambda dy, y, alpha: dy),
    "sigmoid": Formula(lambda x, alpha: sigmoid(x), lambda dy, y, alpha: dy * (y * (1 - y))),
    "tanh": Formula(lambda x, alpha: np.tanh(x), lambda dy, y, alpha: dy * (1 - y * y)),
    "relu": Formula(lambda x, alpha: np.maximum(x, 0), lambda dy, y, alpha: np.where(y > 0, dy, 0)),
    "step": Formula(lambda x, alpha: np.where(np.isnan(x), x, x > 0), None),
    "leaky_relu": Formula(
        lambda x, alpha: np.where(x > 0, x, alpha * x),
        lambda dy, y, alpha: np.where(y > 0, dy, alpha * dy),
    ),
    "elu": Formula(
        lambda x, alpha: _elu(x, 1, alpha),
        lambda dy, y, alpha: np.where(y > 0, dy, dy * (y + alpha)),
    ),
    "selu": Formula(
        lambda x, alpha: _elu(x, SELU_SCALE, SELU_LOWEST),
        lambda dy, y, alpha: dy * np.where(y > 0, SELU_SCALE, y + SELU_LOWEST),
    ),
    "gelu": Formula(
        lambda x, alpha: np.maximum(x, -40) * cdf(x),
        lambda dy, x, alpha: _gelu_gradient(dy, x),
    ),
    "gelu_tanh": Formula(
        lambda x, alpha: _gate(x, _gelu_exponent(np.clip(x, -40, 40))),
        lambda dy, x, alpha: _gelu_tanh_gradient(dy, x),
    ),
    "softplus": Formula(
        lambda x, alpha: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
        lambda dy, y, alpha: dy * -np.expm1(-y),
    ),
    "softsign": Formula(
        lambda x, alpha: _softsign(x), lambda dy, y, alpha: dy * np.square(1 - np.abs(y))
    ),
    "silu": Formula(
        lambda x, alpha: _gate(x, x),
        lambda dy, x, alpha: _gate_slope(dy, np.clip(x, -1000, 1000), x, 1),
    ),
    "hard_sigmoid": Formula(
        lambda x, alpha: np.clip(x + 3, 0, 6) / 6,
        lambda dy, y, alpha: np.where((y > 0) & (y < 1), dy / 6, 0),
    ),
    "exponential": Formula(lambda x, alpha: _exponential(x), lambda dy, y, alpha: dy * y),
}


def activation(kind: str, x: Array, y: Out, alpha: float) -> None:
    y[...] = FORMULAS[kind].forward(x, alpha)


def activation_backward(kind: str, dy: Array, saved: Array, dx: Out, alpha: float) -> None:
    trainable(kind)
    gradient = FORMULAS[kind].gradient
    assert gradient is not None
    dx[...] = gradient(dy, saved, alpha)


def bias_activation(kind: str, z: Out, bias: Array | None, y: Out, alpha: float) -> None:
    if bias is not None:
        np.add(z, bias, out=z)
    activation(kind, z, y, alpha)


def bias_activation_backward(
    kind: str, dy: Array, saved: Array, dz: Out, dbias: Out | None, alpha: float
) -> None:
    activation_backward(kind, dy, saved, dz, alpha)
    if dbias is not None:
        bias_gradient(dz, dbias)


def bias_gradient(dy: Array, dbias: Out) -> None:
    np.sum(dy, axis=0, out=dbias)
