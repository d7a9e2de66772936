"""What the families share: sizes, which kinds at which sizes, numbers at the ends, gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

from nnkit.kernels.table import ACTIVATIONS, LOSSES
from tests.helpers import REFERENCE

SHAPES = [(1, 1), (5, 3), (2, 1100), (7, 33), (2100, 10), (3, 1000), (257, 129)]
FEW = [(7, 33), (2100, 10)]
"""Sizes for what runs through the loops of a kind that is tested at all of them."""
INNER = 19
"""Columns of x where a layer has INNER inputs."""
ALPHA = 0.3
EXTREMES = np.array([0.0, -0.0, 1e-30, -1e-30, 20, -20, 1e4, -1e4, np.inf, -np.inf, np.nan])
KINDS = list(ACTIVATIONS)
BOTH = {"relu", "sigmoid", "mean_squared_error", "sigmoid_cross_entropy"}
"""Of the kinds of activations and losses, which share their loops, a cheap and a dear one."""
OTHER_KINDS = (ACTIVATIONS.keys() | LOSSES.keys()) - BOTH
TRAINABLE = [kind for kind in KINDS if ACTIVATIONS[kind].gradient is not None]


def name(value: Any) -> str:
    """Name a parameter: sizes as ``rows x columns``."""
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


def at_shapes(keep: Callable[[tuple[int, int]], bool]) -> pytest.MarkDecorator:
    """Parametrize with some of the sizes."""
    return pytest.mark.parametrize("shape", [*filter(keep, SHAPES)], ids=name)


def kinds_at_shapes(kinds: Iterable[str], full: tuple[str, ...]) -> pytest.MarkDecorator:
    """Parametrize with kinds and sizes: those in `full` at every size, the others at a few.

    Kinds share their loops and differ in a formula, so that not each has to run at each size.
    """
    pairs = [(kind, shape) for kind in kinds for shape in (SHAPES if kind in full else FEW)]
    return pytest.mark.parametrize(("kind", "shape"), pairs, ids=name)


def quarters(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Make random numbers whose products and sums are exact in float32, in any order."""
    return rng.integers(-4, 5, shape) / 4


def saved_by(kind: str, x: np.ndarray) -> np.ndarray:
    """Return what the gradient of `kind` is computed from, for random x."""
    if ACTIVATIONS[kind].saved == "x":
        return x
    with np.errstate(invalid="ignore"):
        return REFERENCE.activation(kind, x, alpha=ALPHA)


def central_difference(f: Callable[[np.ndarray], float], x: np.ndarray) -> np.ndarray:
    """Gradient of a scalar function at x, one element at a time."""
    gradient = np.empty_like(x)
    h = 1e-6
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += h
        down[place] -= h
        gradient[place] = (f(up) - f(down)) / (up[place] - down[place])
    return gradient
