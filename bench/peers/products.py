"""The yardstick: the products of the training step, and nothing else."""

from __future__ import annotations

import numpy as np

from bench.gathered import step_products
from bench.networks import Weights
from bench.peers.peer import Peer, device
from nnkit import get_backend


class Products(Peer):
    """Each product of a step as nnkit computes it, into preallocated arrays, captured."""

    name = "products alone"
    distributions = ("numpy", "numba")
    trains = False

    def build(self, weights: Weights, x: np.ndarray, t: np.ndarray) -> None:
        self.backend = get_backend("cupy" if device() == "cuda" else "numba")
        self.multiply = step_products(self.network, self.backend)

    def run(self, epoch: int) -> np.ndarray:
        self.multiply(self.steps)
        self.backend.synchronize()
        return np.zeros(self.steps)
