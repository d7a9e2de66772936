"""What a peer is: something that trains a network on given batches."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar

import numpy as np

from bench.networks import Trained, Weights, order


class Peer(ABC):
    """One way of training a network on the first batches of the data, an epoch at a time.

    It starts from the given weights, keeps the data wherever it is fastest for it, and takes the
    batches of each epoch in the order that `batches` gives. Its constructor is not timed, and
    neither is the first epoch, which may compile.
    """

    name: ClassVar[str]
    distributions: ClassVar[tuple[str, ...]]
    """Python packages it is made of, whose versions are recorded."""
    trains: ClassVar[bool] = True
    """False for a yardstick, whose losses mean nothing."""
    builds_alone: ClassVar[bool] = False
    """Whether it chooses its kernels by timing them, and so needs an idle device to be built on."""
    tolerance: ClassVar[float] = 1e-3
    """How far its loss after 50 steps may be from that of NumPy by hand."""

    def __init__(self, network: Trained, weights: Weights, x: Any, t: Any) -> None:
        self.network = network
        self.steps = len(x) // network.batch_size
        self.examples = self.steps * network.batch_size
        self.build(weights, x[: self.examples], t[: self.examples])

    @abstractmethod
    def build(self, weights: Weights, x: np.ndarray, t: np.ndarray) -> None:
        """Make the model and place the data: float32 (n, features), int64 labels (n,).

        Images are rows of (height, width, channels).
        """

    @abstractmethod
    def run(self, epoch: int) -> np.ndarray:
        """Train for an epoch, to its end; returns the loss of each step. This is what is timed."""

    def batches(self, epoch: int) -> np.ndarray:
        """Indices of the examples of each batch, int64 (steps, batch_size)."""
        return order(epoch, self.examples).reshape(self.steps, self.network.batch_size)

    def close(self) -> None:
        """Let go of threads and memory."""
        return

    @classmethod
    def takes(cls, network: Trained) -> bool:
        """Whether it can have this network."""
        return True

    @classmethod
    def versions(cls) -> dict[str, str]:
        """Version of each package it is made of; raises ImportError where one is absent."""
        try:
            return {name: version(name) for name in cls.distributions}
        except PackageNotFoundError as error:
            raise ImportError(f"{error.name} is not installed") from error


def device() -> str:
    """Where to compute: "cpu" or "cuda", as the parent process said."""
    return os.environ.get("NNKIT_BENCH_DEVICE", "cpu")


def threads() -> int:
    """CPU threads that each peer may use."""
    return int(os.environ.get("NNKIT_NUM_THREADS", "0")) or (os.cpu_count() or 1)
