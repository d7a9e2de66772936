"""Copies and pickles of models and of what trains them."""

from __future__ import annotations

import nnkit


def network(backend):
    inner = nnkit.Sequential(nnkit.Linear(8, 4), nnkit.PReLU(4), backend=backend, seed=1)
    layers = nnkit.Linear(6, 8), nnkit.BatchNorm1d(8), nnkit.ReLU(), nnkit.Dropout(0.3)
    return nnkit.Sequential(*layers, inner, nnkit.Linear(4, 3), backend=backend, seed=0)


def values(model):
    return {name: array.tobytes() for name, array in model.state().items()}
