"""Plain NumPy, the training loop as one writes it by hand."""

from __future__ import annotations

import numpy as np

from bench.networks import Weights
from bench.peers.numpy_network import backward, forward, made
from bench.peers.peer import Peer


class NumpyByHand(Peer):
    """Formulas one after the other, updates in place."""

    name = "NumPy by hand"
    distributions = ("numpy",)

    def build(self, weights: Weights, x: np.ndarray, t: np.ndarray) -> None:
        self.x, self.t = x, t
        self.layers = made(self.network.model("numpy").layers, iter(weights))
        first = next(layer for layer in self.layers if layer.parameters)
        first.wanted = False
        self.trained = self.layers[self.layers.index(first) :]
        self.parameters = [p for layer in self.layers for p in layer.parameters]
        self.m = [np.zeros_like(p) for p in self.parameters]
        self.v = [np.zeros_like(p) for p in self.parameters]
        self.updates = 0
        self.rows = np.arange(self.network.batch_size)

    def run(self, epoch: int) -> np.ndarray:
        return np.array([self.step(self.x[i], self.t[i]) for i in self.batches(epoch)])

    def step(self, x: np.ndarray, t: np.ndarray) -> float:
        y = forward(self.layers, x)
        z = y - y.max(axis=1, keepdims=True)
        e = np.exp(z)
        total = e.sum(axis=1, keepdims=True)
        loss = (np.log(total[:, 0]) - z[self.rows, t]).mean()
        d = e / total
        d[self.rows, t] -= 1
        d /= len(x)
        backward(self.trained, d)
        self.update([g for layer in self.trained for g in layer.gradients])
        return loss

    def update(self, gradients: list[np.ndarray]) -> None:
        self.updates += 1
        lr, t = self.network.lr, self.updates
        if self.network.optimizer == "SGD":
            for p, g in zip(self.parameters, gradients, strict=True):
                sgd(p, g, lr)
        else:
            for p, g, m, v in zip(self.parameters, gradients, self.m, self.v, strict=True):
                adam(p, g, m, v, lr, t)


def sgd(p: np.ndarray, g: np.ndarray, lr: float) -> None:
    p -= lr * g


def adam(p: np.ndarray, g: np.ndarray, m: np.ndarray, v: np.ndarray, lr: float, t: int) -> None:
    m *= 0.9
    m += 0.1 * g
    v *= 0.999
    v += 0.001 * g * g
    p -= lr / (1 - 0.9**t) * m / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
