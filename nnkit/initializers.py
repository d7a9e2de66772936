"""Initial weights. Drawn on the host from NumPy's Philox, so that every backend starts alike."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np


class Initializer(Protocol):
    """A function of a generator and a shape (fan_in, fan_out) that returns float64 values."""

    def __call__(  # noqa: D102
        self, rng: np.random.Generator, shape: tuple[int, ...], /
    ) -> np.ndarray[Any, Any]: ...


def zeros(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """All zeros: the usual start of a bias."""
    return np.zeros(shape)


def xavier(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Uniform in ±sqrt(6 / (fan_in + fan_out)); suits sigmoid and tanh (Glorot & Bengio 2010)."""
    limit = np.sqrt(6 / (shape[0] + shape[-1]))
    return rng.uniform(-limit, limit, shape)


def he(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Normal with variance 2 / fan_in; suits ReLU (He et al. 2015)."""
    return rng.normal(0, np.sqrt(2 / shape[0]), shape)


INITIALIZERS: dict[str, Initializer] = {"zeros": zeros, "xavier": xavier, "he": he}


def get(init: str | Initializer | np.typing.ArrayLike) -> Initializer:
    """Return the initialiser of that name; a function is itself, an array is the value to take.

    Raises ValueError for an unknown name, and, when called, for an array of another shape.
    """
    if isinstance(init, str):
        if init not in INITIALIZERS:
            raise ValueError(
                f"unknown initialiser {init!r}: choose one of {', '.join(INITIALIZERS)}, "
                "a function of (generator, shape), or an array"
            )
        return INITIALIZERS[init]
    if callable(init):
        return init
    values = np.array(init, np.float64)

    def given(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        if values.shape != shape:
            raise ValueError(f"initial values of shape {values.shape} for a parameter of {shape}")
        return values

    return given
