"""Small problems that the texts teach with: logic gates, points in the plane, a noisy sine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnkit.given import names
from nnkit.given.options import integer, number

GATES = {"and": (0, 0, 0, 1), "nand": (1, 1, 1, 0), "or": (0, 1, 1, 1), "xor": (0, 1, 1, 0)}
"""Logic gates: the answers to (0, 0), (0, 1), (1, 0) and (1, 1)."""

Numbers = NDArray[Any]
Random = np.random.Generator


def problem(
    name: str, points: int = 200, noise: float = 0.05, seed: int = 0
) -> tuple[Numbers, Numbers]:
    """Return the inputs and targets of a small problem.

    Parameters
    ----------
    name
        "and", "nand", "or", "xor": the four points of a gate, whatever the rest says. "circles" (a
        disc in a ring), "moons" (two half circles), "spirals" (two, one in the other): points of
        two classes, from -1 to 1. "sine": one period of a sine, for regression.
    points
        How many, at least 1; every second one is of class 1.
    noise
        Standard deviation of what is added to each coordinate, or to the sine, drawn at random.
    seed
        Seed of what is drawn; another one gives other points of the same kind.

    Returns
    -------
    x, t
        Points float32 (n, 2) and classes int64 (n,), 0 or 1; for "sine" places float32 (n, 1) from
        -1 to 1, and values float32 (n, 1).

    Raises ValueError for an unknown name and for numbers out of range.
    """
    make = names.find(name, _MADE, "problem")
    n = integer(least=1).checked("problem: points", points)
    deviation = number(least=0).checked("problem: noise", noise)
    rng = np.random.default_rng(integer(least=0).checked("problem: seed", seed))
    return make(rng, n, deviation)


def _gate(answers: tuple[int, ...]) -> Callable[[Random, int, float], tuple[Numbers, Numbers]]:
    def made(_rng: Random, _points: int, _noise: float) -> tuple[Numbers, Numbers]:
        x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
        return x, np.array(answers, np.int64)

    return made


def _circles(rng: Random, n: int, noise: float) -> tuple[Numbers, Numbers]:
    t = np.arange(n) % 2
    radius = np.where(t == 0, rng.uniform(0, 0.45, n), rng.uniform(0.65, 1, n))
    return _polar(radius, rng.uniform(0, 2 * np.pi, n), rng, noise), t


def _moons(rng: Random, n: int, noise: float) -> tuple[Numbers, Numbers]:
    t = np.arange(n) % 2
    angle, side = rng.uniform(0, np.pi, n), 1 - 2 * t
    x = np.stack([side * (np.cos(angle) - 0.5), side * (np.sin(angle) - 0.25)], axis=1)
    return _noisy(2 / 3 * x, rng, noise), t


def _spirals(rng: Random, n: int, noise: float) -> tuple[Numbers, Numbers]:
    t = np.arange(n) % 2
    radius = (np.arange(n) // 2 + 5) / (n / 2 + 5)
    return _polar(radius, 8 * radius + np.pi * t, rng, noise), t


def _sine(rng: Random, n: int, noise: float) -> tuple[Numbers, Numbers]:
    x = rng.uniform(-1, 1, (n, 1))
    return x.astype(np.float32), _noisy(np.sin(np.pi * x), rng, noise)


def _polar(radius: Numbers, angle: Numbers, rng: Random, noise: float) -> Numbers:
    return _noisy(np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), rng, noise)


def _noisy(x: Numbers, rng: Random, noise: float) -> Numbers:
    return (x + rng.normal(0, noise, x.shape)).astype(np.float32)


_MADE: dict[str, Callable[[Random, int, float], tuple[Numbers, Numbers]]] = {
    **{name: _gate(answers) for name, answers in GATES.items()},
    "circles": _circles,
    "moons": _moons,
    "spirals": _spirals,
    "sine": _sine,
}

PROBLEMS = (*_MADE,)
"""What `problem` takes."""
