"""The yardstick: the matrix products of the training step, and nothing else."""

from __future__ import annotations

import numpy as np

from bench.networks import Weights
from bench.peers.peer import Peer, device
from nnkit import get_backend
from nnkit.bench import matrix_products


class Products(Peer):
    """Each product of a step through the backend's `matmul`, into preallocated arrays."""

    name = "products alone"
    distributions = ("numpy",)
    trains = False

    def build(self, weights: Weights, x: np.ndarray, t: np.ndarray) -> None:
        self.backend = get_backend("cupy" if device() == "cuda" else "numpy")
        self.multiply = matrix_products(self.network, self.backend)

    def run(self, epoch: int) -> np.ndarray:
        for _ in range(self.steps):
            self.multiply()
        self.backend.synchronize()
        return np.zeros(self.steps)
