"""Weights of the rows of a batch."""

from __future__ import annotations

from nnkit.backends.contract import Array


def weighted(values: Array, weights: Array | None) -> Array:
    """Multiply values (n, ...) by their rows' weights (n,), if there are any."""
    if weights is None:
        return values
    return values * weights.reshape(-1, *[1] * (values.ndim - 1))
