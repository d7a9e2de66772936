"""scikit-learn's MLPClassifier, trained an epoch at a time by `partial_fit`."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier

from bench.networks import Network, Trained, Weights
from bench.peers.peer import Peer


class Recorded(MLPClassifier):
    """Starts from given weights and keeps each step's loss; the arithmetic is scikit-learn's."""

    def start_from(self, weights: Weights) -> Recorded:
        pairs = zip(weights[::2], weights[1::2], strict=True)
        self._given = [(w.copy(), b.copy()) for w, b in pairs]
        self._losses: list[float] = []
        return self

    def _init_coef(self, *_: Any) -> tuple[np.ndarray, np.ndarray]:
        return self._given.pop(0)

    def _backprop(self, *arguments: Any) -> Any:
        result = super()._backprop(*arguments)
        self._losses.append(result[0])
        return result


class ScikitLearn(Peer):
    """The examples are put in order once an epoch; the batches are then slices.

    Its Adam is a variant: epsilon is added before the second moment is corrected, and so counts up
    to 30 times as much in the first steps.
    """

    name = "scikit-learn"
    distributions = ("scikit-learn", "numpy")
    tolerance = 0.05

    @classmethod
    def takes(cls, network: Trained) -> bool:
        return isinstance(network, Network)

    def build(self, weights: Weights, x: np.ndarray, t: np.ndarray) -> None:
        network = self.network
        assert isinstance(network, Network)
        self.x, self.t = x, t
        self.classes = np.arange(network.sizes[-1])
        self.model = Recorded(
            network.sizes[1:-1],
            solver=network.optimizer.lower(),
            batch_size=network.batch_size,
            learning_rate_init=network.lr,
            momentum=0,
            alpha=0,
            shuffle=False,
        ).start_from(weights)

    def run(self, epoch: int) -> np.ndarray:
        i = self.batches(epoch).ravel()
        self.model._losses.clear()
        self.model.partial_fit(self.x[i], self.t[i], classes=self.classes)
        return np.array(self.model._losses)
