"""What a captured step was captured for: the settings of everything in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nnkit.backends import get_precision
from nnkit.layers import Sequential
from nnkit.losses import Loss
from nnkit.optimizers import Optimizer

Configuration = tuple[Any, ...]


def configuration(model: Sequential, loss: Loss, optimizer: Optimizer) -> Configuration:
    """Everything that a step computes with and does not read from the device.

    Two that are equal stand for the same step. It holds the layers, their modes and their
    attributes that are numbers, strings and the like; the loss's and the optimizer's; where the
    parameters lie, and which are frozen; which arrays are running averages and optimizer's state;
    how a GPU multiplies.
    Arrays are known by their ids, and kept, so that nothing else gets the same.
    """
    walked = [layer for _, layer in model.walk()]
    layers = [(layer, *_settings(layer)) for layer in walked]
    buffers = [(id(x), x) for layer in walked for x in layer.own_buffers().values()]
    parameters = (p for layer in walked for p in layer.own_parameters().values())
    places = [(p.memory, p.start, p.frozen) for p in parameters]
    of_state = *optimizer.slot_arrays.values(), *optimizer.live_arrays()
    state = [(id(array), array) for array in of_state]
    of_optimizer = [x for x in _settings(optimizer) if x[0] not in optimizer.live]
    return layers, buffers, places, state, of_optimizer, [*_settings(loss)], get_precision()


def _settings(thing: Any) -> Iterator[tuple[str, Any]]:
    """Attributes that are plain values; those with an underscore are a thing's own business."""
    for name, given in vars(thing).items():
        if name[0] == "_":
            continue
        if type(given) in PLAIN:  # as most are
            yield name, given
            continue
        value = given.item() if isinstance(given, np.ndarray) and given.ndim == 0 else given
        if _is_plain(value):
            yield name, value if not isinstance(value, list | dict) else repr(value)


PLAIN = frozenset((bool, int, float, str, type(None)))


def _is_plain(value: Any) -> bool:
    if type(value) in PLAIN:
        return True
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    return isinstance(value, int | float | str | np.generic)
