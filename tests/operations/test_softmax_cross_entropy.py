"""Softmax and log-softmax of rows, and the losses of classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.helpers import REFERENCE, assert_close, counters, random_array
from tests.operations.loss_checks import assert_gradient_equals_central_differences, check_loss
from tests.operations.shared import central_difference


def test_softmax(check, shape, rng):
    y = check(
        lambda b, v: b.softmax(v.x, v.y),
        {"x": random_array(rng, shape) * 4},
        {"y": shape},
        ulps=32,
        scale=0,
    )["y"]
    assert_close(y.sum(axis=1), np.ones(len(y)), y.dtype)


def test_softmax_backward(check, shape, rng):
    probabilities = np.exp(random_array(rng, shape))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    check(
        lambda b, v: b.softmax_backward(v.dy, v.y, v.dx),
        {"dy": random_array(rng, shape), "y": probabilities},
        {"dx": shape},
    )


def test_log_softmax_backward(check, shape, rng):
    check(
        lambda b, v: b.log_softmax_backward(v.dy, v.y, v.dx),
        {"dy": random_array(rng, shape), "y": REFERENCE.log_softmax(random_array(rng, shape))},
        {"dx": shape},
        scale=4,
    )


def test_log_softmax_backward_of_impossible_classes(check):
    """Where y is -inf the softmax is 0 and the gradient dy."""
    got = check(
        lambda b, v: b.log_softmax_backward(v.dy, v.y, v.dx),
        {"dy": np.array([[1.0, 2, 3]]), "y": np.array([[-np.inf, 0, -1e4]])},
        {"dx": (1, 3)},
    )
    assert got["dx"].tolist() == [[1, -4, 3]]


@pytest.mark.parametrize("operation", ["softmax", "log_softmax"])
def test_softmax_gradient_equals_central_differences(backend, rng, operation):
    x, dy = random_array(rng, (3, 4)), random_array(rng, (3, 4))

    def f(values):
        return backend.to_numpy(getattr(backend, operation)(backend.asarray(values)))

    backward = getattr(backend, f"{operation}_backward")
    dx = backward(backend.asarray(dy), backend.asarray(f(x)))
    numeric = central_difference(lambda values: (f(values) * dy).sum(), x)
    np.testing.assert_allclose(backend.to_numpy(dx), numeric, rtol=1e-7, atol=1e-9)


def test_log_softmax(check, shape, rng):
    check(
        lambda b, v: b.log_softmax(v.x, v.y),
        {"x": random_array(rng, shape) * 4},
        {"y": shape},
        ulps=16,
    )


ROWS = np.array(
    [
        [1e4, -1e4, 0],
        [-1e4, -1e4, -1e4],
        [1e4, 1e4, 1e4],
        [-1000, 1, 1],
        [1.5e38, -1.5e38, 0],
        [-np.inf, 0, 0],
        [1, 2, 3],
        [np.inf, 0, 0],
        [np.nan, 0, 0],
        [0, 0, np.nan],
        [1, 2, 3],
    ]
)
BROKEN = [7, 8, 9]
"""Rows with +inf or NaN."""


@pytest.mark.parametrize("operation", ["softmax", "log_softmax"])
def test_softmax_at_extremes(check, operation):
    with np.errstate(all="ignore"):
        y = check(
            lambda b, v: getattr(b, operation)(v.x, v.y), {"x": ROWS}, {"y": ROWS.shape}, ulps=16
        )["y"]
    assert np.isnan(y[BROKEN]).all()
    assert not np.isnan(np.delete(y, BROKEN, axis=0)).any(), "a row concerns no other row"


logits = arrays(
    np.float64,
    st.tuples(st.integers(1, 5), st.integers(1, 9)),
    elements=st.floats(-1e4, 1e4, allow_subnormal=False),
)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(x=logits, shift=st.floats(-1e4, 1e4))
def test_softmax_properties(backend, x, shift):
    y, log_y = (
        backend.to_numpy(f(backend.asarray(x))) for f in (backend.softmax, backend.log_softmax)
    )
    shifted = backend.to_numpy(backend.softmax(backend.asarray(x + shift)))
    assert ((y >= 0) & (y <= 1)).all()
    assert (log_y <= 0).all()
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(shifted, y, atol=1e-10)
    np.testing.assert_allclose(np.exp(log_y), y, atol=1e-11)
    rows = np.arange(len(x))
    assert (y[rows, x.argmax(axis=1)] == y.max(axis=1)).all()


def softmax_loss(backend, *arrays_):
    backend.softmax_cross_entropy(*arrays_)


def categorical(backend, *arrays_):
    backend.categorical_cross_entropy(*arrays_, 0.01)


def test_softmax_cross_entropy(check, shape, rng):
    n, m = shape
    z, scale = random_array(rng, shape) * 3, {"dz": 1 / n, "log": np.sqrt(n)}
    labels = rng.integers(0, m, n).astype(np.int32)
    soft = rng.random(shape) + 0.01
    soft /= soft.sum(axis=1, keepdims=True)
    by_label = check_loss(check, softmax_loss, z, labels, ulps=16, scale=scale)
    one_hot = np.eye(m)[labels]
    by_row = check_loss(check, softmax_loss, z, one_hot, ulps=16, scale=scale)
    for name, value in by_label.items():
        assert_close(by_row[name], value, check.dtype, 16, scale.get(name, 1), name)
    check_loss(check, softmax_loss, z, soft, ulps=16, scale=scale)


def test_softmax_cross_entropy_by_hand(backend, dtype):
    """Two rows of equal logits cost log 2 each; the first of equals is the prediction."""
    z, dz = backend.zeros((2, 2), dtype), backend.empty((2, 2), dtype)
    log = backend.zeros((1, 2), np.float64)
    labels = backend.asarray([0, 1], np.int32)
    backend.softmax_cross_entropy(z, labels, dz, log, counters(backend))
    assert backend.to_numpy(dz).tolist() == [[-0.25, 0.25], [0.25, -0.25]]
    loss, correct = backend.to_numpy(log)[0]
    assert_close(loss, np.log(2), dtype)
    assert correct == 1


@pytest.mark.parametrize("classes", [3, 41, 1100])
@pytest.mark.parametrize("label", [-1, 0, -(2**31), 2**31 - 1])
def test_a_label_that_is_no_class(backend, dtype, rng, classes, label):
    """It makes the loss and the number of right answers NaN, and takes no part in the gradient."""
    z = backend.asarray(random_array(rng, (6, classes)), dtype)
    labels = rng.integers(0, classes, 6).astype(np.int32)
    logs, gradients = [], []
    for bad in (labels[2], label or classes):
        labels[2] = bad
        dz, log = backend.empty(z.shape, dtype), backend.zeros((1, 2), np.float64)
        backend.softmax_cross_entropy(z, backend.asarray(labels), dz, log, counters(backend))
        logs.append(backend.to_numpy(log)[0].copy())
        gradients.append(np.array(backend.to_numpy(dz), np.float64))
    assert np.isfinite(logs[0]).all() and np.isnan(logs[1]).all()
    right, found = gradients
    assert (found[2] == 0).all() and right[2].any()
    assert (np.delete(found, 2, axis=0) == np.delete(right, 2, axis=0)).all()


@pytest.mark.parametrize("step", [-1, 2, 2**40, -(2**40)])
def test_a_step_that_the_log_has_no_row_for(backend, step):
    """Nothing is logged, and nothing is written beside it."""
    guarded = backend.zeros((4, 2), np.float64)
    z, rows = backend.zeros((2, 3), np.float32), backend.asarray(np.eye(3)[:2], np.float32)
    labels = backend.asarray(np.zeros(2, np.int32))
    given = backend.empty(z.shape, np.float32), guarded[1:3], counters(backend, step)
    backend.softmax_cross_entropy(z, labels, *given)
    backend.softmax_cross_entropy(z, rows, *given)
    backend.categorical_cross_entropy(z, rows, *given, 1e-7)
    backend.elementwise_loss("huber", z, rows, *given, 1.0)
    assert (backend.to_numpy(guarded) == 0).all()


def test_softmax_cross_entropy_counts_the_first_of_equals(check):
    z = np.array([[1.0, 3, 3], [3, 1, 3], [2, 2, 2], [0, 1, 2]])
    labels = np.array([1, 2, 0, 2], np.int32)
    ties = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0, 0.5, 0.5], [0.4, 0.3, 0.3]])
    for target, correct in [(labels, 3), (np.eye(3)[labels], 3), (ties, 2)]:
        log = check_loss(check, softmax_loss, z, target)["log"]
        assert log[2, 1] == correct


def test_softmax_cross_entropy_at_extremes(check):
    """A class with a logit of -inf is impossible; where its target is 0 that costs nothing."""
    z = np.array([[1e4, -1e4, 0], [-1000, 1, 1], [-np.inf, 0, 0], [0, -np.inf, -np.inf]])
    labels = np.array([1, 2, 1, 0], np.int32)
    for target in (labels, np.eye(3)[labels]):
        with np.errstate(all="ignore"):
            got = check_loss(check, softmax_loss, z, target)
        assert np.isfinite(got["dz"]).all()
        assert np.isfinite(got["log"]).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_softmax_cross_entropy_never_hides_nan(check, bad):
    z = np.array([[1.0, 2, 3], [0, bad, 1], [3, 2, 1]])
    labels = np.array([2, 0, 0], np.int32)
    for target in (labels, np.eye(3)[labels]):
        with np.errstate(invalid="ignore"):
            got = check_loss(check, softmax_loss, z, target, scratch=("log",))
        assert np.isnan(got["log"][2, 0])
        assert np.isnan(got["dz"][1]).all()
        assert np.isfinite(got["dz"][[0, 2]]).all()


def test_softmax_cross_entropy_of_an_impossible_label_is_infinite(check):
    z, labels = np.array([[-np.inf, 0.0], [1, 2]]), np.array([0, 1], np.int32)
    with np.errstate(all="ignore"):
        got = check_loss(check, softmax_loss, z, labels)
    assert got["log"][2, 0] == np.inf


def test_categorical_cross_entropy(check, shape, rng):
    n, m = shape
    y, soft = rng.random((2, *shape)) + 0.1
    for target in (np.eye(m)[rng.integers(0, m, n)], soft / soft.sum(axis=1, keepdims=True)):
        check_loss(
            check,
            categorical,
            y / y.sum(axis=1, keepdims=True),
            target,
            ulps=16,
            scale={"dz": 1 / n, "log": np.sqrt(n)},
        )


def test_categorical_cross_entropy_by_hand(backend, dtype):
    """The first of equals is the prediction; a probability of 0 costs no more than log(delta)."""
    y = backend.asarray([[0.5, 0.5], [0.5, 0.5], [1.0, 0.0]], dtype)
    target = backend.asarray([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], dtype)
    dy, log = backend.empty((3, 2), dtype), backend.zeros((1, 2), np.float64)
    backend.categorical_cross_entropy(y, target, dy, log, counters(backend), 1e-4)
    loss, correct = backend.to_numpy(log)[0]
    assert_close(loss, -(2 * np.log(0.5001) + np.log(1e-4)) / 3, dtype)
    assert correct == 1
    want = [[-1 / 0.5001, 0], [0, -1 / 0.5001], [0, -1e4]]
    assert_close(backend.to_numpy(dy), np.array(want) / 3, dtype)


def test_categorical_cross_entropy_keeps_nan(check):
    y, target = np.array([[0.5, np.nan], [0.5, 0.5]]), np.eye(2)[::-1]
    with np.errstate(invalid="ignore"):
        got = check_loss(check, categorical, y, target, scratch=("log",))
    assert np.isnan(got["log"][2, 0])


@pytest.mark.parametrize("columns", [3, 41, 301, 1501])
@pytest.mark.parametrize("loss", [softmax_loss, categorical])
def test_answers_are_counted_for_negative_targets(check, rng, loss, columns):
    """What lies beyond the end of a row, where a wide access reads on, is no class."""
    y, target = rng.random((6, columns)) + 0.1, rng.random((6, columns)) - 2
    target[[0, 2, 5], y[[0, 2, 5]].argmax(axis=1)] = -0.5
    log = check_loss(check, loss, y, target, ulps=32, scale={"log": columns})["log"]
    assert log[2, 1] == 3


@pytest.mark.parametrize("loss", [softmax_loss, categorical])
def test_gradient_of_losses_equals_central_differences(backend, rng, loss):
    y, target = rng.dirichlet(np.full(4, 3.0), (2, 3))
    assert_gradient_equals_central_differences(backend, loss, y, target)
