"""Several ranks train the network that one process does."""

from __future__ import annotations

import numpy as np
import pytest

import nnkit
from nnkit import Trainer, layers
from nnkit.distributed.contract import RankError
from tests.ranks import on_ranks


def mlp(seed=1, dtype="float64", backend="numpy"):
    return nnkit.Sequential(
        layers.Linear(12, 16),
        layers.ReLU(),
        layers.Linear(16, 3),
        seed=seed,
        dtype=dtype,
        backend=backend,
    )


@pytest.fixture
def data(rng):
    return rng.standard_normal((50, 12)), rng.integers(0, 3, 50)


def losses(communicator, data, make=mlp, optimizer=None, **options):
    trainer = Trainer(make(), None, optimizer or nnkit.SGD(0.1), communicator)
    options = {"epochs": 5, "batch_size": 16, "progress": False} | options
    return trainer.fit(*data, **options).step_loss


@pytest.mark.parametrize("size", [2, 4])
def test_mlp(data, size):
    alone = losses(None, data)
    for each in on_ranks(size, lambda ranks: losses(ranks, data)):
        np.testing.assert_allclose(each, alone, rtol=1e-10)
