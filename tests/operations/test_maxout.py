"""Maxout: the largest of several linear functions, and which it was."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers import random_array
from tests.operations.shared import quarters


@pytest.mark.parametrize("pieces", [2, 5])
def test_maxout(check, shape, rng, pieces):
    n, m = shape
    inputs = {"z": quarters(rng, n, pieces * m), "bias": quarters(rng, pieces * m)}
    outputs = {"y": shape, "piece": np.full(shape, -7, np.int32)}
    check(lambda b, v: b.maxout(v.z, v.bias, v.y, v.piece), inputs, outputs, ulps=0)


def test_maxout_of_nan(check):
    got = check(
        lambda b, v: b.maxout(v.z, v.bias, v.y, v.piece),
        {"z": np.array([[1.0, np.nan, 0, 7, np.nan, 2, 9, -np.inf, np.inf]]), "bias": np.zeros(9)},
        {"y": (1, 3), "piece": np.full((1, 3), -7, np.int32)},
    )
    assert np.array_equal(got["y"], [[9, np.nan, np.inf]], equal_nan=True)
    assert got["piece"].tolist() == [[2, 0, 2]]


@pytest.mark.parametrize("pieces", [2, 5])
def test_maxout_backward(check, shape, rng, pieces):
    piece = rng.integers(0, pieces, shape).astype(np.int32)
    check(
        lambda b, v: b.maxout_backward(v.dy, v.piece, v.dz),
        {"dy": random_array(rng, shape), "piece": piece},
        {"dz": (shape[0], pieces * shape[1])},
        ulps=0,
    )
