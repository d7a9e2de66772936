"""Plain NumPy, the training loop as one writes it by hand."""

from __future__ import annotations

import numpy as np

from bench.networks import Weights
from bench.peers.peer import Peer


class NumpyByHand(Peer):
    """Formulas one after the other, updates in place."""

    name = "NumPy by hand"
    distributions = ("numpy",)

    def build(self, weights: Weights, x: np.ndarray, t: np.ndarray) -> None:
        self.x, self.t = x, t
        self.weights = [w.copy() for w, _ in weights]
        self.biases = [b.copy() for _, b in weights]
        self.parameters = self.weights + self.biases
        self.m = [np.zeros_like(p) for p in self.parameters]
        self.v = [np.zeros_like(p) for p in self.parameters]
        self.updates = 0
        self.rows = np.arange(self.network.batch_size)

    def run(self, epoch: int) -> np.ndarray:
        return np.array([self.step(self.x[i], self.t[i]) for i in self.batches(epoch)])

    def step(self, x: np.ndarray, t: np.ndarray) -> float:
        inputs = [x]
        for k, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            z = inputs[-1] @ w + b
            inputs.append(np.maximum(z, 0) if k < len(self.weights) - 1 else z)
        z = inputs[-1] - inputs[-1].max(axis=1, keepdims=True)
        e = np.exp(z)
        total = e.sum(axis=1, keepdims=True)
        loss = (np.log(total[:, 0]) - z[self.rows, t]).mean()
        d = e / total
        d[self.rows, t] -= 1
        d /= len(x)
        dw, db = [], []
        for k in reversed(range(len(self.weights))):
            dw.append(inputs[k].T @ d)
            db.append(d.sum(axis=0))
            if k:
                d = (d @ self.weights[k].T) * (inputs[k] > 0)
        self.update(dw[::-1] + db[::-1])
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
