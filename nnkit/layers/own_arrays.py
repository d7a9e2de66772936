"""The arrays of each layer of a model, one layer after the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.dtypes import as_arithmetic, is_real
from nnkit.layers.base import Layer

Array = np.ndarray[Any, Any]
Own = dict[str, Array]
"""A layer's arrays, by their names in it."""


def arrays_of(model: Layer) -> dict[str, tuple[Layer, Own]]:
    """The layers that have arrays, by their paths, with these on the host."""
    found = {}
    for path, layer in model.walk():
        values = {name: p.value for name, p in layer.own_parameters().items()}
        values |= layer.own_buffers()
        if values:
            own = {name: layer.backend.to_numpy(value).copy() for name, value in values.items()}
            found[path] = layer, own
    return found


def join(path: str, name: str) -> str:
    """Name of an array of the layer at a path."""
    return f"{path}.{name}" if path else name


def real(name: str, array: Any) -> Array:
    """Return an array of finite real numbers in the dtype to compute in; ValueError for another."""
    array = np.asarray(array)
    if not is_real(array.dtype):
        raise ValueError(f"its {name} is of {array.dtype}, not of real numbers")
    numbers: Array = as_arithmetic(array)
    if not np.isfinite(numbers).all():
        raise ValueError(f"its {name} holds NaN or infinity")
    return numbers
