"""What a captured step was captured for: the settings of everything in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nnkit.layers import Sequential
from nnkit.losses import Loss
from nnkit.optimizers import Optimizer

Configuration = tuple[Any, ...]


def configuration(model: Sequential, loss: Loss, optimizer: Optimizer) -> Configuration:
    """Everything that a step computes with and does not read from the device.

    Two that are equal stand for the same step. It holds the layers, their modes and their
    attributes that are numbers, strings and the like; the loss's and the optimizer's; where the
    parameters lie, and which are frozen; which arrays are running averages and optimizer's state.
    """
    layers = [(layer, *_settings(layer)) for _, layer in model.walk()]
    buffers = [id(array) for _, array in model.named_buffers()]
    places = [(p.memory, p.start, p.frozen) for p in model.parameters()]
    state = [id(array) for array in (*optimizer.slot_arrays.values(), *optimizer.live_arrays())]
    of_optimizer = [x for x in _settings(optimizer) if x[0] not in optimizer.live]
    return layers, buffers, places, state, of_optimizer, [*_settings(loss)]


def _settings(thing: Any) -> Iterator[tuple[str, Any]]:
    """Attributes that are plain values; those with an underscore are a thing's own business."""
    for name, value in vars(thing).items():
        if not name.startswith("_") and _is_plain(value):
            yield name, value if not isinstance(value, list | dict) else repr(value)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    return value is None or isinstance(value, bool | int | float | str | np.generic)
