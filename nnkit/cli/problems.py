"""Problems in the plane, and small networks that learn them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnkit.backends import Backend
from nnkit.data.problems import GATES, problem
from nnkit.layers import Layer, Linear, Sequential, Sigmoid
from nnkit.losses import SigmoidCrossEntropy
from nnkit.optimizers import Adam
from nnkit.training import Trainer

UNITS = {**dict.fromkeys(GATES, 6), "ring": 12, "spirals": 48}
"""How many hidden units each problem is learned by."""


@dataclass(frozen=True)
class Problem:
    """Points x (n, 2) with their class t (n,), 0 or 1."""

    x: NDArray[np.float64]
    t: NDArray[np.int64]


def make(name: str, seed: int) -> Problem:
    """Return a problem of that name, a key of `UNITS`; all but the gates are drawn at random."""
    kind, noise = {"ring": ("circles", 0.0), "spirals": ("spirals", 0.02)}.get(name, (name, 0.0))
    x, t = problem(kind, noise=noise, seed=seed)
    return Problem(x.astype(np.float64), t)


def learn(points: Problem, units: int, epochs: int, seed: int, backend: Backend) -> Trainer:
    """Train a network with one hidden layer of sigmoids, by full batches with Adam.

    Its one output is a logit. With no hidden unit it is a single neuron.
    """
    hidden: list[Layer] = [Linear(2, units), Sigmoid()] if units else []
    model = Sequential(*hidden, Linear(units or 2, 1), seed=seed, backend=backend)
    trainer = Trainer(model, SigmoidCrossEntropy(), Adam(0.05))
    trainer.fit(points.x, points.t, epochs, len(points.x), progress=False)
    return trainer


def classes(trainer: Trainer, x: NDArray[np.float64]) -> NDArray[np.int64]:
    """Class numbers (n,) that a network gives points (n, 2): 0 or 1 where it has one output."""
    y = trainer.predict(x)
    if y.ndim == 2 and y.shape[1] > 1:
        y = trainer.predict_proba(x).argmax(axis=1)
    return np.asarray(y if y.dtype.kind in "iu" else y > 0.5, np.int64).reshape(-1)
