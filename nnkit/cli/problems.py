"""Problems in the plane, and small networks that learn them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnkit.backends import Backend
from nnkit.layers import Layer, Linear, Sequential, Sigmoid
from nnkit.losses import SigmoidCrossEntropy
from nnkit.optimizers import Adam
from nnkit.training import Trainer

GATES = {"and": (0, 0, 0, 1), "nand": (1, 1, 1, 0), "or": (0, 1, 1, 1), "xor": (0, 1, 1, 0)}
"""Logic gates: the answers to (0, 0), (0, 1), (1, 0) and (1, 1)."""

UNITS = {**dict.fromkeys(GATES, 6), "ring": 12, "spirals": 48}
"""How many hidden units each problem is learned by."""


@dataclass(frozen=True)
class Problem:
    """Points x (n, 2) with their class t (n,), 0 or 1."""

    x: NDArray[np.float64]
    t: NDArray[np.int64]


def make(name: str, seed: int) -> Problem:
    """Return a problem of that name, a key of `UNITS`; all but the gates are drawn at random."""
    if name in GATES:
        x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float64)
        return Problem(x, np.array(GATES[name], np.int64))
    rng = np.random.default_rng(seed)
    return _ring(rng) if name == "ring" else _spirals(rng)


def _ring(rng: np.random.Generator) -> Problem:
    """A disc in a ring."""
    t = np.arange(200) % 2
    radius = np.where(t == 0, rng.uniform(0, 0.45, 200), rng.uniform(0.65, 1, 200))
    return Problem(_polar(radius, rng.uniform(0, 2 * np.pi, 200)), t)


def _spirals(rng: np.random.Generator) -> Problem:
    """Two spirals, one in the other."""
    t = np.arange(200) % 2
    radius = (np.arange(200) // 2 + 5) / 105
    angle = 8 * radius + np.pi * t + rng.normal(0, 0.12, 200)
    return Problem(_polar(radius, angle), t)


def _polar(radius: NDArray[np.float64], angle: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def learn(problem: Problem, units: int, epochs: int, seed: int, backend: Backend) -> Trainer:
    """Train a network with one hidden layer of sigmoids, by full batches with Adam.

    Its one output is a logit. With no hidden unit it is a single neuron.
    """
    hidden: list[Layer] = [Linear(2, units), Sigmoid()] if units else []
    model = Sequential(*hidden, Linear(units or 2, 1), seed=seed, backend=backend)
    trainer = Trainer(model, SigmoidCrossEntropy(), Adam(0.05))
    trainer.fit(problem.x, problem.t, epochs, len(problem.x), progress=False)
    return trainer


def classes(trainer: Trainer, x: NDArray[np.float64]) -> NDArray[np.int64]:
    """Class numbers (n,) that a network gives points (n, 2): 0 or 1 where it has one output."""
    y = trainer.predict(x)
    if y.ndim == 2 and y.shape[1] > 1:
        y = trainer.predict_proba(x).argmax(axis=1)
    return np.asarray(y if y.dtype.kind in "iu" else y > 0.5, np.int64).reshape(-1)
