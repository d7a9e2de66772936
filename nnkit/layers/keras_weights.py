"""A model's weights as the list that Keras has, and back: its axes are those of nnkit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnkit.dtypes import as_arithmetic
from nnkit.layers.base import Layer
from nnkit.layers.own_arrays import Array, arrays_of, join, real


def weights(model: Layer) -> list[Array]:
    """What ``set_weights`` takes: the arrays of one layer after the other."""
    layers = arrays_of(model).values()
    return [_as_keras(layer, as_arithmetic(a)) for layer, own in layers for a in own.values()]


def state(model: Layer, arrays: Sequence[Any]) -> dict[str, Array]:
    """What `Layer.restore` takes, of what ``get_weights`` gave."""
    wanted = [
        (path, layer, name, array)
        for path, (layer, own) in arrays_of(model).items()
        for name, array in own.items()
    ]
    if len(arrays) != len(wanted):
        raise ValueError(f"there are {len(arrays)} arrays, but the model has {len(wanted)}")
    found: dict[str, Array] = {}
    for i, (path, layer, name, mine) in enumerate(wanted):
        given = real(f"array {i}", arrays[i])
        if given.shape not in (mine.shape, _as_keras(layer, mine).shape):
            raise ValueError(
                f"array {i} has shape {given.shape}, but {join(path, name)} of the model has "
                f"{mine.shape}"
            )
        found[join(path, name)] = given.reshape(mine.shape)
    return found


def _as_keras(layer: Layer, array: Array) -> Array:
    """A depthwise kernel is (height, width, in, multiplier) there; all else is as it is here."""
    groups = getattr(layer, "groups", 1)
    if array.ndim == 4 and groups > 1 and array.shape[2] == 1:
        return array.reshape(*array.shape[:2], groups, -1)
    return array
