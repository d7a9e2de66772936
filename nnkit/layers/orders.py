"""In which order rows have the numbers of images: nnkit's channels last, those of others first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nnkit.layers.base import Layer
from nnkit.layers.containers import Concat, Residual
from nnkit.layers.flatten import Flatten
from nnkit.layers.images import Image
from nnkit.layers.linear import Linear
from nnkit.layers.maxout import Maxout
from nnkit.layers.shapes import is_open

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]
Orders = dict[Layer, tuple[int, int]]
"""Of layers of rows: the channels of the images that their inputs are, and that their outputs are;
1 where they are none."""


def channels_last(array: Array, channels: int, axis: int = 0) -> Array:
    """Numbers of images along an axis, all of a channel together, as all of a pixel together."""
    return _swapped(array, channels, -1, axis)


def channels_first(array: Array, channels: int, axis: int = 0) -> Array:
    """Numbers of images along an axis, all of a pixel together, as all of a channel together."""
    return _swapped(array, -1, channels, axis)


def _swapped(array: Array, rows: int, columns: int, axis: int) -> Array:
    if 1 in (rows, columns):
        return array
    moved = np.moveaxis(array, axis, 0)
    parts = moved.reshape(rows, columns, *moved.shape[1:]).swapaxes(0, 1)
    return np.moveaxis(parts.reshape(moved.shape), 0, axis)


@dataclass(frozen=True)
class _Rows:
    """What is known of the rows behind a layer."""

    shape: Shape | None
    channels: int | None = 1
    """Of the images that they were made of; None where that cannot be said."""
    makers: tuple[Layer, ...] | None = field(default=())
    """The layers since the last product, which images may be made of; None where ways met."""


def orders(model: Layer, pattern: Shape | None) -> Orders:
    """Find the layers whose numbers are those of images that `Flatten` and `Image` turn.

    Raises ValueError where it cannot be said.
    """
    found: Orders = {}
    _through(found, [("", model)], _Rows(pattern))
    return found


def _through(found: Orders, layers: Iterable[tuple[str, Layer]], x: _Rows) -> _Rows:
    for _, layer in layers:
        x = _behind(found, layer, x)
    return x


def _behind(found: Orders, layer: Layer, x: _Rows) -> _Rows:
    shape = layer.pattern if x.shape is None else x.shape
    behind = None if shape is None else layer.output_shape(shape)
    if layer.children():
        return replace(_around(found, layer, x), shape=behind)
    if isinstance(layer, Flatten):
        return _flat(shape, behind, x)
    if isinstance(layer, Image) and shape is not None and len(shape) == 1:
        return _images(found, layer, x)
    if behind is None or len(behind) != 1:
        return _Rows(behind)
    if layer.own_parameters():
        found[layer] = _known(layer, x), 1
    if isinstance(layer, Linear | Maxout):
        return _Rows(behind, 1, (layer,) if isinstance(layer, Linear) else None)
    makers = None if x.makers is None else (*x.makers, layer)
    rows = shape is not None and len(shape) == 1  # not the mean of each channel of images
    return _Rows(behind, x.channels, makers) if rows else _Rows(behind)


def _around(found: Orders, layer: Layer, x: _Rows) -> _Rows:
    """Go through the layers inside one."""
    ways = layer.children()
    if isinstance(layer, Concat):
        ends = [_behind(found, branch, x) for _, branch in ways]
        if any(end.channels != 1 for end in ends):
            raise ValueError(
                f"{layer.title} joins rows of images, whose order is another there: flatten behind "
                "it, or set W by hand"
            )
        return _Rows(None, 1, None)
    if not isinstance(layer, Residual):
        return _through(found, ways, x)
    around = [] if layer.shortcut is None else [ways.pop()]
    ends = [_through(found, way, x) for way in (ways, around)]
    if ends[0].channels != ends[1].channels:
        raise ValueError(f"{layer.title} adds rows of images to other rows: set W by hand")
    return _Rows(None, ends[0].channels, None)


def _known(layer: Layer, x: _Rows) -> int:
    if x.channels is None:
        raise ValueError(
            f"nothing says which images are flattened in front of {layer.title}: begin the model "
            "with Image(height, width, channels)"
        )
    return x.channels


def _flat(shape: Shape | None, behind: Shape | None, x: _Rows) -> _Rows:
    if shape is None:
        return _Rows(behind, None)
    if len(shape) == 1:
        return x
    single = not is_open(shape[:-1]) and all(size == 1 for size in shape[:-1])
    return _Rows(behind, 1 if len(shape) == 2 or single else int(shape[-1]))


def _images(found: Orders, layer: Image, x: _Rows) -> _Rows:
    """Have the layers that make the rows of these images give them in the other order."""
    if x.channels == layer.channels:
        return _Rows(layer.input_shape)
    if x.makers is None or x.channels != 1:
        raise ValueError(f"{layer!r} makes images of rows that nnkit cannot order: set W by hand")
    for maker in x.makers:
        if maker in found:
            found[maker] = found[maker][0], layer.channels
    return _Rows(layer.input_shape)
