"""What is trained: networks, their initial weights, the data, and the order of the batches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

import nnkit.data
from bench.convolutional import CONVOLUTIONAL, PHOTOS, ConvNetwork
from nnkit.bench import NETWORKS, Network

Trained = Network | ConvNetwork
Weights = list[np.ndarray[Any, Any]]
"""The parameters of the model, float32, in their order: mostly W and b of each layer."""

ORDER_SEED = 7
NAMED: dict[str, Trained] = {
    **NETWORKS,
    "one-hidden": Network("one-hidden", (784, 128, 10), 128, "Adam", 1e-3, 468),
    **CONVOLUTIONAL,
}
"""The networks of the tables, and those that are compared when asked for."""
GROUPS = {"linear": tuple(NETWORKS), "convolutional": tuple(CONVOLUTIONAL)}
WEIGHTS_SEED = 3
"""Adam's first steps divide gradients of 1e-8 by their own size. Where that turns a unit on or off,
the losses of exact implementations part, most in the deep network; with this seed they do not."""


__all__ = [
    "CONVOLUTIONAL",
    "GROUPS",
    "NAMED",
    "NETWORKS",
    "ConvNetwork",
    "Data",
    "Network",
    "Trained",
    "Weights",
    "data_for",
    "initial_weights",
    "load_data",
    "order",
]


@dataclass(frozen=True)
class Data:
    """Images as float32 rows in 0..1 and int64 labels."""

    x: np.ndarray[Any, Any]
    t: np.ndarray[Any, Any]
    source: str

    def first(self, n: int) -> Data:
        """Take the first `n` examples."""
        return replace(self, x=self.x[:n], t=self.t[:n])


def data_for(network: Trained) -> Data:
    """What a network is trained on; an epoch takes the first examples of it."""
    if isinstance(network, ConvNetwork) and network.image == PHOTOS:
        return _random_photos()
    return load_data()


@cache
def load_data(n: int = 60_000) -> Data:
    """The first `n` training images of MNIST if they are on this machine, else random ones."""
    known = {info.name: info for info in nnkit.data.available()}
    if known["mnist"].location is None:
        return _random_images(n, 784, "MNIST")
    mnist = nnkit.data.load("mnist")
    x = mnist.x_train[:n].astype(np.float32) * np.float32(1 / 255)
    return Data(x, mnist.t_train[:n], "MNIST")


@cache
def _random_photos() -> Data:
    """As many as are needed for 50 batches of 128."""
    return _random_images(6_400, prod(PHOTOS), "CIFAR-10")


def _random_images(n: int, pixels: int, whose: str) -> Data:
    """Images in which each class lights a fifth of the pixels of its own, as many as MNIST's do."""
    rng = np.random.default_rng(0)
    lit = rng.random((10, pixels)) < 0.2
    t = rng.integers(0, 10, n)
    x = rng.random((n, pixels), np.float32) * lit[t]
    return Data(x, t, f"random images of {whose}'s shape")


def initial_weights(network: Trained) -> Weights:
    """He's initial weights, zero biases, and what a normalisation begins with."""
    if isinstance(network, ConvNetwork):
        model = network.model("numpy", seed=WEIGHTS_SEED)
        return [parameter.value.copy() for parameter in model.parameters()]
    rng = np.random.default_rng(WEIGHTS_SEED)
    pairs = (
        (rng.normal(0, (2 / a) ** 0.5, (a, b)).astype(np.float32), np.zeros(b, np.float32))
        for a, b in pairwise(network.sizes)
    )
    return [value for pair in pairs for value in pair]


def order(epoch: int, n: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Order of `n` examples in an epoch: the one that nnkit's trainer draws from `ORDER_SEED`."""
    key = np.array([ORDER_SEED, epoch], np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).permutation(n)
