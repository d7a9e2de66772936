"""Losses of single elements: values, gradients, extremes, right answers."""

from __future__ import annotations

import numpy as np
import pytest

from nnkit.kernels.table import LOSSES
from tests.helpers import assert_close, counters, random_array
from tests.operations.loss_checks import assert_gradient_equals_central_differences, check_loss
from tests.operations.shared import ALPHA, kinds_at_shapes


def elementwise(kind):
    return lambda backend, *arrays_: backend.elementwise_loss(kind, *arrays_, ALPHA)


every_loss = pytest.mark.parametrize("kind", LOSSES)


def elementwise_arrays(rng, kind, shape):
    """Outputs and targets of the kind that a loss is for."""
    if kind == "binary_cross_entropy":
        return rng.uniform(0.05, 0.95, shape), rng.random(shape)
    if kind == "hinge":
        return random_array(rng, shape), rng.choice([-1.0, 1.0], shape)
    if kind == "poisson":
        return random_array(rng, shape), rng.poisson(2.0, shape).astype(float)
    if kind == "sigmoid_cross_entropy":
        return random_array(rng, shape) * 3, rng.random(shape)
    return random_array(rng, shape), random_array(rng, shape)


@kinds_at_shapes(LOSSES, ("sigmoid_cross_entropy", "half_squared_error"))
def test_elementwise_loss(check, shape, rng, kind):
    y, target = elementwise_arrays(rng, kind, shape)
    got = check_loss(
        check,
        elementwise(kind),
        y,
        target,
        ulps=16,
        scale={"dz": 2 / (y.size if LOSSES[kind].mean_over == "elements" else len(y))},
    )
    if LOSSES[kind].threshold is None:
        assert got["log"][2, 1] == 0, "nothing to count"


@every_loss
def test_elementwise_loss_keeps_nan(check, rng, kind):
    y, target = elementwise_arrays(rng, kind, (3, 4))
    y[1, 2] = np.nan
    with np.errstate(invalid="ignore"):
        got = check_loss(check, elementwise(kind), y, target)
    assert np.isnan(got["log"][2, 0])
    assert np.isfinite(np.delete(got["dz"].ravel(), 6)).all()


@pytest.mark.parametrize(
    ("kind", "y", "target", "loss", "dy", "right"),
    [
        ("sigmoid_cross_entropy", 0, 1, np.log(2), -0.5, 0),
        ("binary_cross_entropy", 0.2, 1, -np.log(0.5), -2, 0),
        ("binary_cross_entropy", 0.7, 1, 0, -1, 1),
        ("mean_squared_error", 3, 1, 4, 4, 0),
        ("half_squared_error", 3, 1, 2, 2, 0),
        ("hinge", 0.25, 1, 0.75, -1, 1),
        ("hinge", 2, -1, 3, 1, 0),
        ("hinge", 2, 1, 0, 0, 1),
        ("huber", 1.2, 1, 0.02, 0.2, 0),
        ("huber", 3, 1, 0.555, 0.3, 0),
        ("huber", -3, 1, 1.155, -0.3, 0),
        ("poisson", np.log(2), 3, 2 - 3 * np.log(2), -1, 0),
    ],
)
def test_elementwise_loss_by_hand(backend, dtype, kind, y, target, loss, dy, right):
    arrays_ = [backend.asarray([[value]], dtype) for value in (y, target, np.nan)]
    log = backend.zeros((1, 2), np.float64)
    backend.elementwise_loss(kind, *arrays_, log, counters(backend), ALPHA)
    assert_close(backend.to_numpy(log), np.array([[loss, right]]), dtype)
    assert_close(backend.to_numpy(arrays_[2]), np.array([[dy]]), dtype)


def test_elementwise_loss_of_logits_at_extremes(check):
    z = np.array([[1e4, -1e4, 0, 1e4, -1e4, 88, -88, -1, -1, 1]])
    target = np.array([[1.0, 0, 1, 0, 1, 1, 0, 0.5, 0.5, 0.95]])
    loss = elementwise("sigmoid_cross_entropy")
    got = check_loss(check, loss, z, target, scale={"dz": 0})
    assert got["log"][2, 1] == 7, "a logit of 0 and a target of 0.5 count as no"


@every_loss
def test_elementwise_loss_gradient_equals_central_differences(backend, rng, kind):
    y, target = elementwise_arrays(rng, kind, (3, 4))
    assert_gradient_equals_central_differences(backend, elementwise(kind), y, target)
