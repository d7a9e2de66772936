"""The network that the command line's options ask for, and how it is told of."""

from __future__ import annotations

from collections import Counter
from typing import Any

from nnkit import activations
from nnkit.backends import Backend
from nnkit.cli.command import Failure
from nnkit.cli.settings import Settings
from nnkit.data import Dataset
from nnkit.layers import Conv2d, Dropout, Flatten, Image, Layer, Linear, Sequential
from nnkit.models import MODELS

UNTOLD = Image, Flatten
"""Layers that compute nothing."""


def build(settings: Settings, data: Dataset, backend: Backend) -> Sequential:
    """Make the network for rows of the data's images; one of `nnkit.models`, if it has a name."""
    options: dict[str, Any] = {"seed": settings.seed, "dtype": settings.dtype, "backend": backend}
    if settings.model is None:
        layers = _linear(settings, data.x_train.shape[1], data.n_outputs)
        return Sequential(*layers, **options)
    if data.image_shape is None:
        raise Failure(
            f"--model {settings.model} takes images, but {data.name} has rows of "
            f"{data.x_train.shape[1]} numbers of no known height and width: save arrays of shape "
            "(n, height, width) or (n, height, width, channels)"
        )
    return MODELS[settings.model](data.image_shape, data.n_classes, **options)


def _linear(settings: Settings, features: int, classes: int) -> list[Layer]:
    layers: list[Layer] = [Flatten()] if settings.augment else []
    for width in settings.hidden:
        layers += [Linear(features, width), activations.get(settings.activation)]
        if settings.dropout:
            layers.append(Dropout(settings.dropout))
        features = width
    return [*layers, Linear(features, classes)]


def describe(model: Sequential, name: str | None = None) -> str:
    """Write a network as "784-256-128-10, ReLU", or "lenet: 2 Conv2d, 4 ReLU, 2 MaxPool2d"."""
    parts = [layer for _, layer in model.walk() if not layer.children()]
    if any(isinstance(layer, Conv2d) for layer in parts):
        kinds = Counter(type(layer).__name__ for layer in parts if not isinstance(layer, UNTOLD))
        counted = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        return f"{name}: {counted}" if name else counted
    linear = [layer for layer in parts if isinstance(layer, Linear)]
    widths = [layer.in_features for layer in linear[:1]] + [layer.out_features for layer in linear]
    others = dict.fromkeys(type(layer).__name__ for layer in parts if layer not in linear)
    return ", ".join(["-".join(map(str, widths)), *others])
