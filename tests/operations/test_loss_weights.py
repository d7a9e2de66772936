"""Losses of rows with weights: of ones, of whole numbers, of any, on every backend."""

from __future__ import annotations

import numpy as np
import pytest

from nnkit.dtypes import arithmetic
from nnkit.kernels.table import LOSSES
from tests.helpers import counters
from tests.operations.samples import LOG
from tests.operations.test_losses import elementwise_arrays

ALPHA = 0.3


def case(rng, name, shape):
    """Return how a loss is called, outputs and targets."""
    n, m = shape
    rows = rng.random(shape) + 0.01
    rows /= rows.sum(axis=1, keepdims=True)
    logits = 3 * rng.standard_normal(shape)
    if name == "labels":
        labels = rng.integers(0, m, n).astype(np.int32)
        return lambda b, *a: b.softmax_cross_entropy(*a), logits, labels
    if name == "rows":
        return lambda b, *a: b.softmax_cross_entropy(*a), logits, rows
    if name == "categorical":
        return lambda b, *a: b.categorical_cross_entropy(*a[:5], 0.01, *a[5:]), rows[::-1], rows
    outputs = elementwise_arrays(rng, name, shape)
    return lambda b, *a: b.elementwise_loss(name, *a[:5], ALPHA, *a[5:]), *outputs


losses = pytest.mark.parametrize("name", ["labels", "rows", "categorical", *LOSSES])


def measured(backend, dtype, call, z, target, *weights):
    """Gradient, and the log's loss and right answers."""
    real = backend.asarray(z, dtype)
    t = backend.asarray(target, np.int32 if target.dtype == np.int32 else dtype)
    w = [backend.asarray(x, arithmetic(dtype)) for x in weights]
    dz, log = backend.empty(z.shape, dtype), backend.zeros((1, 2), np.float64)
    call(backend, real, t, dz, log, counters(backend), *w)
    return backend.to_numpy(dz), backend.to_numpy(log)[0]


@losses
@pytest.mark.parametrize("shape", [(33, 10), (3, 700)])
def test_weights_against_the_reference(check, rng, name, shape):
    call, z, target = case(rng, name, shape)
    check(
        lambda b, v: call(b, v.z, v.target, v.dz, v.log, counters(b, 2, 5, 9), v.weights),
        {"z": z, "target": target, "weights": rng.random(len(z)) * 2},
        {"dz": z.shape, "log": LOG},
        ulps=32,
        scale={"dz": 2 / min(z.shape), "log": z.size},
    )


@losses
def test_weights_of_one_change_no_bit(backend, dtype, rng, name):
    call, z, target = case(rng, name, (33, 10))
    plain = measured(backend, dtype, call, z, target)
    ones = measured(backend, dtype, call, z, target, np.ones(len(z)))
    np.testing.assert_array_equal(np.float64(plain[0]), np.float64(ones[0]))
    np.testing.assert_allclose(plain[1], ones[1], rtol=1e-6)


@losses
def test_whole_weights_are_repeated_rows(backend, rng, name):
    """A row of weight k is k rows: in the loss, in the right answers, and in their gradients."""
    call, z, target = case(rng, name, (40, 7))
    times = rng.integers(0, 4, len(z))
    again, weights = np.repeat(np.arange(len(z)), times), times / times.mean()
    dz, log = measured(backend, np.float64, call, z, target, weights)
    dz_again, log_again = measured(backend, np.float64, call, z[again], target[again])
    summed = np.zeros_like(z)
    np.add.at(summed, again, dz_again)
    np.testing.assert_allclose(dz, summed, rtol=1e-12, atol=1e-15)
    assert log[0] == pytest.approx(log_again[0], rel=1e-12)
    assert log[1] / len(z) == pytest.approx(log_again[1] / len(again), rel=1e-12)
