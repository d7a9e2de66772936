"""What is trained: networks, their initial weights, the data, and the order of the batches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

import nnkit.data
from nnkit.bench import NETWORKS, Network

Weights = list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]
"""W (inputs, outputs) and b (outputs,) of each linear layer, float32."""

ORDER_SEED = 7
NAMED = NETWORKS | {
    "one-hidden": Network("one-hidden", (784, 128, 10), 128, "Adam", 1e-3, 468),
}
"""The networks of the tables, and those that are compared when asked for."""
WEIGHTS_SEED = 3
"""Adam's first steps divide gradients of 1e-8 by their own size. Where that turns a unit on or off,
the losses of exact implementations part, most in the deep network; with this seed they do not."""


__all__ = [
    "NAMED",
    "NETWORKS",
    "Data",
    "Network",
    "Weights",
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


@cache
def load_data(n: int = 60_000) -> Data:
    """The first `n` training images of MNIST if they are on this machine, else random ones."""
    known = {info.name: info for info in nnkit.data.available()}
    if known["mnist"].location is None:
        return _random_images(n)
    mnist = nnkit.data.load("mnist")
    x = mnist.x_train[:n].astype(np.float32) * np.float32(1 / 255)
    return Data(x, mnist.t_train[:n], "MNIST")


def _random_images(n: int) -> Data:
    """Images in which each class lights a fifth of the pixels of its own, as many as MNIST's do."""
    rng = np.random.default_rng(0)
    pixels = rng.random((10, 784)) < 0.2
    t = rng.integers(0, 10, n)
    x = rng.random((n, 784), np.float32) * pixels[t]
    return Data(x, t, "random images of MNIST's shape")


def initial_weights(network: Network) -> Weights:
    """He's initial weights and zero biases."""
    rng = np.random.default_rng(WEIGHTS_SEED)
    return [
        (rng.normal(0, (2 / a) ** 0.5, (a, b)).astype(np.float32), np.zeros(b, np.float32))
        for a, b in pairwise(network.sizes)
    ]


def order(epoch: int, n: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Order of `n` examples in an epoch: the one that nnkit's trainer draws from `ORDER_SEED`."""
    key = np.array([ORDER_SEED, epoch], np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).permutation(n)
