"""A network's weights as a page draws them: the first layer's, and how large each layer's are."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from nnkit.backends import Array
from nnkit.layers import Conv2d, Layer, Linear, Sequential

UNITS, SIDE, NUMBERS = 32, 32, 64
"""Units that are shown, pixels of a side, and inputs of a row that is no image."""

LAYERS = 40
"""Parameters whose sizes are shown, the first ones."""

Fields = dict[str, Any]


def first_weights(model: Sequential, image_shape: tuple[int, ...] | None) -> Fields:
    """The weights of the first layer that has some, int8, 127 for the largest ("reach").

    "weights" are (units, height, width, channels) of a `Linear` on images of this shape or of a
    convolution; (inputs, units) of a `Linear` on other rows. Nothing where there is no such layer.
    """
    layer = next((x for x in model.leaves() if isinstance(x, Linear | Conv2d)), None)
    if layer is None:
        return {}
    units = layer.W.shape[-1]
    values = _few(layer, image_shape)
    found = model.backend.to_numpy(values).astype(np.float32)
    reach = float(abs(found).max(initial=0))
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = np.nan_to_num(127 * found / (reach or 1)).clip(-127, 127)
    kind = "filters" if isinstance(layer, Conv2d) else "images" if found.ndim == 4 else "rows"
    weights = scaled.round().astype(np.int8)
    return {"weights": weights, "weights_kind": kind, "reach": reach, "units": units}


def _few(layer: Linear | Conv2d, image_shape: tuple[int, ...] | None) -> Array:
    """As many of the weights as are shown."""
    weights = layer.W.value
    if isinstance(layer, Conv2d):  # (height, width, channels, units)
        channels = 3 if weights.shape[2] == 3 else 1
        return weights[:, :, :channels, :UNITS].transpose(3, 0, 1, 2)
    if image_shape is None or prod(image_shape) != layer.in_features:
        return weights[:NUMBERS, :UNITS]
    images = weights[:, :UNITS].T.reshape(-1, *(*image_shape, 1)[:3])
    step = max(1, -(-max(image_shape[:2]) // SIDE))
    channels = 3 if images.shape[3] == 3 else 1
    return images[:, ::step, ::step, :channels]


def sizes(model: Sequential) -> Fields:
    """Root mean squares of each parameter's values and of its last gradient, by name."""
    layers = dict(model.walk())
    named = [*model.named_parameters()][:LAYERS]
    xp = model.backend.xp
    found = model.backend.to_numpy(
        xp.stack([_rms(xp, x) for _, p in named for x in (p.value, p.grad)])
        if named
        else xp.zeros(0)
    ).reshape(-1, 2)
    return {
        "parameters": [
            {"name": _name(name, layers), "value": float(value), "gradient": float(gradient)}
            for (name, _), (value, gradient) in zip(named, found, strict=True)
        ]
    }


def _rms(xp: Any, array: Array) -> Array:
    flat = array.reshape(-1)
    if flat.dtype.itemsize < 4:
        flat = flat.astype(np.float32)
    return xp.sqrt(xp.asarray(flat @ flat / max(1, flat.size), np.float64))


def _name(name: str, layers: dict[str, Layer]) -> str:
    """A parameter's name with its layer's class: "0 Linear W"."""
    path, _, own = name.rpartition(".")
    return f"{path} {type(layers[path]).__name__} {own}" if path in layers else name
