"""A model's weights as the list that Keras has, and back: its axes are mostly those of nnkit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnkit.layers.base import Layer
from nnkit.layers.convolution import Conv2d
from nnkit.layers.own_arrays import Array, arrays_of, join, real
from nnkit.layers.prelu import PReLU


def weights(model: Layer) -> list[Array]:
    """What ``set_weights`` takes: the arrays of one layer after the other."""
    there = _shapes(model)
    return [
        real(join(path, name), array).reshape(there[join(path, name)])
        for path, (_, own) in arrays_of(model).items()
        for name, array in own.items()
    ]


def state(model: Layer, arrays: Sequence[Any]) -> dict[str, Array]:
    """What `Layer.restore` takes, of what ``get_weights`` gave."""
    mine = {
        join(path, name): array
        for path, (_, own) in arrays_of(model).items()
        for name, array in own.items()
    }
    if len(arrays) != len(mine):
        raise ValueError(f"there are {len(arrays)} arrays, but the model has {len(mine)}")
    there = _shapes(model)
    found: dict[str, Array] = {}
    for i, (name, array) in enumerate(mine.items()):
        given = real(f"array {i}", arrays[i])
        if given.shape not in (array.shape, there[name]):
            raise ValueError(
                f"array {i} has shape {given.shape}, but {name} of the model has {array.shape}"
            )
        found[name] = given.reshape(array.shape)
    return found


def _shapes(model: Layer) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays, in Keras."""
    behind = {layer: shape for _, layer, shape in model.shapes(model.pattern)}
    return {
        join(path, name): _shape(layer, array.shape, behind[layer])
        for path, (layer, own) in arrays_of(model).items()
        for name, array in own.items()
    }


def _shape(layer: Layer, shape: tuple[int, ...], behind: tuple[int, ...] | None) -> tuple[int, ...]:
    """A depthwise kernel is (height, width, in, multiplier) there, slopes lie along the images."""
    if isinstance(layer, Conv2d) and len(shape) == 4 and 1 < layer.groups == layer.in_channels:
        return (*shape[:2], layer.in_channels, shape[3] // layer.in_channels)
    if isinstance(layer, PReLU) and behind is not None and len(behind) == 3:
        return (1, 1, *shape)
    return shape
