"""Pictures over the plane, or over the line that a sine is on: where they are taken, and scaled."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.play.wire import Array

SIDE, UNIT_SIDE = 64, 32
"""Pixels of the regions and of a unit's picture: of those, every second one."""
CURVE, UNIT_CURVE = 256, 64
"""Places of the curve that is to be the sine, and of a unit's: of those, every fourth one."""


def plane(low: float, high: float) -> Array:
    """The middles of the pixels (SIDE^2, 2), float32, row by row, the first row on top."""
    middles = low + (high - low) * (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE
    x, y = np.meshgrid(middles, middles[::-1])
    return np.stack([x.reshape(-1), y.reshape(-1)], axis=1).astype(np.float32)


def line(low: float, high: float) -> Array:
    """Places (CURVE, 1), float32, from one end to the other."""
    return np.linspace(low, high, CURVE, dtype=np.float32).reshape(-1, 1)


def regions(answers: Array) -> Array:
    """Return uint8 (SIDE, SIDE) of probabilities (SIDE^2,)."""
    return _whole(255 * answers, np.uint8).reshape(SIDE, SIDE)


def images(layers: list[Array]) -> Array:
    """Of each unit int8 (UNIT_SIDE, UNIT_SIDE) by its largest value; layers are (SIDE^2, units)."""
    apart = SIDE // UNIT_SIDE
    units = _units(layers, SIDE * SIDE).reshape(-1, SIDE, SIDE)
    return _scaled(units[:, ::apart, ::apart])


def curves(layers: list[Array]) -> Array:
    """Of each unit int8 (UNIT_CURVE,) by its largest value; layers are (CURVE, units)."""
    return _scaled(_units(layers, CURVE)[:, :: CURVE // UNIT_CURVE])


def _units(layers: list[Array], places: int) -> Array:
    """What all units of some layers give, (units, places)."""
    return np.concatenate([np.zeros((places, 0), np.float32), *layers], axis=1).T


def _scaled(units: Array) -> Array:
    places = tuple(range(1, units.ndim))
    largest = np.abs(units).max(axis=places, keepdims=True)
    return _whole(127 * units / np.where(largest > 0, largest, 1), np.int8)


def _whole(array: Array, dtype: Any) -> Array:
    """Round; what is NaN becomes 0."""
    return np.nan_to_num(array.round(), posinf=0, neginf=0).astype(dtype)
