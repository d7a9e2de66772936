"""Backpropagation against central differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nnkit import losses
from nnkit.backends import Array
from nnkit.dtypes import arithmetic
from nnkit.layers import Sequential
from nnkit.losses import Loss


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


def gradcheck(
    model: Sequential,
    loss: str | Loss,
    x: Any,
    t: Any,
    delta: float | None = None,
    tolerance: float | None = None,
    samples: int = 100,
    seed: int = 0,
) -> GradientCheck:
    """Compare the gradients of a model with ``(L(w + delta) - L(w - delta)) / (2 delta)``.

    Parameters
    ----------
    model, loss, x, t
        As for training. The model is left as it was; dropout is off.
    delta, tolerance
        Defaults for float64: 1e-6 and 1e-5; for float32 1e-2 and 2e-2, which shows gross mistakes
        only: build the model with ``dtype="float64"`` to be sure.
    samples
        Elements tried in each array; all of them if it has no more.

    Returns
    -------
    GradientCheck
        The largest errors ``|a - n| / max(|a|, |n|, floor)``; true if all are within tolerance. The
        floor is 1e-3 of the array's largest gradient, so that zeros compare to what matters.

    Notes
    -----
    At a kink (ReLU at exactly 0) the two may rightly differ.
    """
    if model.dtype != arithmetic(model.dtype):
        raise ValueError(
            f"differences of losses mean nothing in {model.dtype.name}: build the model in float64"
        )
    compared = losses.get(loss)
    single = model.dtype == np.float32
    delta = (1e-2 if single else 1e-6) if delta is None else delta
    tolerance = (2e-2 if single else 1e-5) if tolerance is None else tolerance
    inputs = model._checked(x).copy()

    def loss_value() -> float:
        return compared(model(inputs), t)

    with model.in_mode(training=False):
        loss_value()
        arrays = {"input": (inputs, model.backward(compared.backward()).copy())}
        arrays |= {name: (p.value, p.grad.copy()) for name, p in model.named_parameters()}
        rng = np.random.default_rng(seed)
        errors = {}
        for name, (array, gradient) in arrays.items():
            analytic = model.backend.to_numpy(gradient).ravel()
            chosen = rng.permutation(analytic.size)[:samples]
            flat = array.reshape(-1)
            numeric = np.array([_difference(flat, i, delta, loss_value) for i in chosen])
            largest = np.abs(analytic).max(initial=0)
            errors[name] = _relative_error(analytic[chosen], numeric, largest)
    return GradientCheck(errors, tolerance)


def _difference(flat: Array, index: int, delta: float, loss_value: Callable[[], float]) -> float:
    """Central difference of the loss by one element, which is put back."""
    before = flat[index].copy()
    flat[index] = before + delta
    up = loss_value()
    flat[index] = before - delta
    down = loss_value()
    flat[index] = before
    return float((up - down) / (2 * delta))


def _relative_error(
    analytic: np.ndarray[Any, Any], numeric: np.ndarray[Any, Any], largest: float
) -> float:
    scale = np.maximum(np.maximum(np.abs(analytic), np.abs(numeric)), 1e-3 * largest + 1e-12)
    return float((np.abs(analytic - numeric) / scale).max(initial=0))
