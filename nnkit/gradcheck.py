"""Backpropagation against central differences."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nnkit import losses
from nnkit.backends import Array
from nnkit.layers import Sequential
from nnkit.layers.inputs import Inputs
from nnkit.losses import Loss

MOVED = 0.1
"""How far a copy is moved off a kink, as a share of the spread of what is moved."""


class GradientCheck(NamedTuple):
    """Outcome of `gradcheck`: the largest relative error of each parameter and of the input."""

    errors: dict[str, float]
    tolerance: float

    @property
    def ok(self) -> bool:
        """Whether every gradient agrees."""
        return all(error <= self.tolerance for error in self.errors.values())

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        width = max(16, *map(len, self.errors), 0)
        lines = [f"{name:<{width}} {error:.2e}" for name, error in self.errors.items()]
        verdict = "agree" if self.ok else "DO NOT agree"
        return "\n".join([*lines, f"gradients {verdict} within {self.tolerance:g}"])


class Errors(NamedTuple):
    """Of some elements of an array: how wrong each gradient is, and whether there is a kink."""

    errors: np.ndarray[Any, Any]
    kinks: np.ndarray[Any, Any]

    def or_at_kinks(self, moved: Errors) -> Errors:
        """The smaller errors of these and those at a point nearby, but at kinks alone."""
        least = np.minimum(self.errors, moved.errors)
        return Errors(np.where(self.kinks, least, self.errors), self.kinks)


def gradcheck(
    model: Sequential,
    loss: str | Loss,
    x: Any,
    t: Any,
    delta: float = 1e-6,
    tolerance: float = 1e-5,
    samples: int = 100,
    seed: int = 0,
) -> GradientCheck:
    """Compare the gradients of a model with ``(L(w + delta) - L(w - delta)) / (2 delta)``.

    It is done with a copy in float64, whatever the model's dtype is, with dropout off: differences
    of float32's losses would show gross mistakes only. The model stays as it is.

    Parameters
    ----------
    model, loss, x, t
        As for training.
    delta, tolerance
        Made for float64: an own layer that computes in float32 nevertheless wants 1e-2 and 2e-2.
    samples
        Elements tried in each array; all of them if it has no more.
    seed
        Of the choice of elements.

    Returns
    -------
    GradientCheck
        The largest errors ``|a - n| / max(|a|, |n|, floor)``; true if all are within tolerance. The
        floor is 1e-3 of the array's largest gradient, so that zeros compare to what matters.

    Raises ValueError as the model and the loss do, for outputs that are images for instance.

    Notes
    -----
    At a kink the two may rightly differ, and an ordinary network is at many: where an image is
    blank and biases are 0, the inputs of ReLU are 0, and those of max-pooling equal. So where they
    disagree, and the slopes to both sides do too, ``(L(w + delta) - L(w)) / delta`` and that below,
    a gradient that agrees with one of them is right; and if some still do not, weights and inputs
    are moved by up to a tenth of their spread and compared there once more. A wrong choice at a
    kink alone, as a gradient for all of several equal maxima, is not found.
    """
    compared = losses.get(loss)
    copied = copy.deepcopy(model).eval()
    copied.build(model.backend, np.float64, model.seed, model.fused)
    inputs = copied._checked(x).copy()
    copied.inputs = Inputs()  # which are scaled by now

    def errors() -> dict[str, Errors]:
        def loss_value() -> float:
            return compared(copied(inputs), t)

        here, rng = loss_value(), np.random.default_rng(seed)
        arrays = {"input": (inputs, copied.backward(compared.backward()).copy())}
        arrays |= {name: (p.value, p.grad.copy()) for name, p in copied.named_parameters()}
        found = {}
        for name, (array, gradient) in arrays.items():
            analytic = copied.backend.to_numpy(gradient).ravel()
            chosen = rng.permutation(analytic.size)[:samples]
            flat = array.reshape(-1)
            slopes = [_slopes(flat, i, delta, here, loss_value) for i in chosen]
            largest = float(np.abs(analytic).max(initial=0))
            found[name] = _errors(analytic[chosen], slopes, largest, tolerance)
        return found

    def check(of: dict[str, Errors]) -> GradientCheck:
        largest = {name: float(each.errors.max(initial=0)) for name, each in of.items()}
        return GradientCheck(largest, tolerance)

    here = errors()
    first = check(here)
    if first.ok or not np.isfinite([*first.errors.values()]).all():
        return first
    _move([inputs, *(p.value for p in copied.parameters())], copied, seed)
    moved = errors()
    return check({name: found.or_at_kinks(moved[name]) for name, found in here.items()})


def _slopes(
    flat: Array, index: int, delta: float, here: float, loss_value: Callable[[], float]
) -> tuple[float, float, float]:
    """Slopes of the loss by one element, which is put back: across it, below it and above it."""
    before = flat[index].copy()
    flat[index] = before + delta
    up = loss_value()
    flat[index] = before - delta
    down = loss_value()
    flat[index] = before
    return (up - down) / (2 * delta), (here - down) / delta, (up - here) / delta


def _errors(
    analytic: np.ndarray[Any, Any],
    slopes: list[tuple[float, float, float]],
    largest: float,
    tolerance: float,
) -> Errors:
    """Relative errors; at a kink, where the slopes to both sides differ, the smallest of three."""
    numeric = np.array(slopes).reshape(-1, 3).T
    scale = np.maximum(np.maximum(np.abs(analytic), np.abs(numeric)), 1e-3 * largest + 1e-12)
    errors = np.abs(analytic - numeric) / scale
    kinks = np.abs(numeric[1] - numeric[2]) > tolerance * np.maximum(scale[1], scale[2])
    at_kinks = kinks & (errors[0] > tolerance)
    return Errors(np.where(at_kinks, errors.min(axis=0), errors[0]), kinks)


def _move(arrays: list[Array], model: Sequential, seed: int) -> None:
    """Add random numbers to each array, in place, such that it is at no kink."""
    rng = np.random.default_rng(seed)
    for array in arrays:
        reach = MOVED * (float(array.std()) or 1.0)
        array[...] += model.backend.asarray(rng.uniform(-reach, reach, array.shape), array.dtype)
