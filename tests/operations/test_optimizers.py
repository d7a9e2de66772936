"""Optimizers: each update by hand in float64, at every size, and their precision."""

from __future__ import annotations

import numpy as np
import pytest

from nnkit.backends.contract import Update
from nnkit.dtypes import arithmetic
from tests.helpers import assert_close, counters, master_of, random_array, with_master

SCHEDULE = np.array([0.3, 0.2, 0.1, 0.05, 0.01])
PENALTIES = 0.01, 0.02
"""Weight decay, l1."""
every_momentum = pytest.mark.parametrize(
    ("momentum", "nesterov"), [(None, False), (0.9, False), (0.9, True)]
)
every_adaptive = pytest.mark.parametrize(("keep", "add"), [(1.0, 1.0), (0.9, 0.1)])
CONSTANT, CHANGING = [0.1], [9.0, 9.0, *SCHEDULE]
every_lr_and_penalty = pytest.mark.parametrize(
    ("lr", "weight_decay", "l1"),
    [
        (CONSTANT, 0.0, 0.0),
        (CHANGING, 0.0, 0.0),
        (CHANGING, 0.01, 0.0),
        (CONSTANT, 0.0, 0.02),
        (CHANGING, *PENALTIES),
    ],
    ids=["constant", "schedule", "decay", "l1", "decay and l1"],
)


def _sgd(b, p, g, velocity, lr, at, momentum, nesterov, weight_decay, l1, master=None):
    velocity = None if momentum is None else velocity
    update = Update(lr, at, weight_decay, l1, master)
    b.sgd(p, g, velocity, update, momentum or 0.0, nesterov)


@every_momentum
def test_sgd(check, shape, rng, momentum, nesterov):
    size = shape[0] * shape[1]
    options = momentum, nesterov, *PENALTIES
    check(
        lambda b, v: _sgd(b, v.p, v.g, v.v, v.lr, counters(b, 3, 8), *options, master_of(v)),
        {"g": random_array(rng, size), "lr": SCHEDULE},
        with_master(check.dtype, random_array(rng, size)) | {"v": random_array(rng, size)},
    )


@every_adaptive
def test_adaptive(check, shape, rng, keep, add):
    size = shape[0] * shape[1]
    check(
        lambda b, v: b.adaptive(
            *(v.p, v.g, v.squares, Update(v.lr, counters(b, 3, 8), *PENALTIES, master_of(v))),
            *(keep, add, 1e-8),
        ),
        {"g": random_array(rng, size), "lr": SCHEDULE},
        with_master(check.dtype, random_array(rng, size))
        | {"squares": random_array(rng, size) ** 2},
    )


@pytest.mark.parametrize("decoupled", [False, True])
def test_adam(check, shape, rng, decoupled):
    size = shape[0] * shape[1]
    check(
        lambda b, v: b.adam(
            *(v.p, v.g, v.m, v.v),
            Update(v.lr, counters(b, 3, 5000), *PENALTIES, master_of(v)),
            *(0.9, 0.999, 1e-8, decoupled),
        ),
        {"g": random_array(rng, size), "lr": SCHEDULE},
        with_master(check.dtype, random_array(rng, size))
        | {"m": random_array(rng, size), "v": random_array(rng, size) ** 2},
    )


def _train(backend, dtype, rng, lr, start, update, states):
    """Make five updates on a backend; return the parameters after each, and the gradients."""
    p0 = random_array(rng, 37, dtype)
    p0[:2] = 0  # where l1 pushes nowhere
    gradients = [random_array(rng, 37, dtype) for _ in range(5)]
    p, lr = backend.asarray(p0.copy()), backend.asarray(np.array(lr))
    state = [backend.zeros(37, dtype) for _ in range(states)]
    at, history = counters(backend, *start), [p0.astype(np.float64)]
    for g in gradients:
        update(p, backend.asarray(g), *state, lr, at)
        backend.advance(at, 1, 1, 0)
        history.append(np.array(backend.to_numpy(p), np.float64))
    return history, [g.astype(np.float64) for g in gradients]


@every_lr_and_penalty
@every_momentum
def test_sgd_by_hand(backend, dtype, rng, lr, momentum, nesterov, weight_decay, l1):
    options = momentum, nesterov, weight_decay, l1
    history, gradients = _train(
        *(backend, dtype, rng, lr, (2, 10, 0)),
        lambda p, g, v, rates, at: _sgd(backend, p, g, v, rates, at, *options),
        states=1,
    )
    mu = momentum or 0.0
    p, v = history[0], np.zeros(37)
    for t, (g, got) in enumerate(zip(gradients, history[1:], strict=True)):
        d = g + weight_decay * p + l1 * np.sign(p)
        v = mu * v + d
        p = p - (lr * 7)[2 + t] * (d + mu * v if nesterov else v)
        assert_close(got, p, dtype, 32, what=f"update {t}")


@every_lr_and_penalty
@every_adaptive
def test_adaptive_by_hand(backend, dtype, rng, lr, keep, add, weight_decay, l1):
    penalties, options = (weight_decay, l1), (keep, add, 1e-3)
    history, gradients = _train(
        *(backend, dtype, rng, lr, (2, 10, 0)),
        lambda p, g, squares, rates, at: backend.adaptive(
            p, g, squares, Update(rates, at, *penalties), *options
        ),
        states=1,
    )
    p, squares = history[0], np.zeros(37)
    for t, (g, got) in enumerate(zip(gradients, history[1:], strict=True)):
        d = g + weight_decay * p + l1 * np.sign(p)
        squares = keep * squares + add * d**2
        p = p - (lr * 7)[2 + t] * d / (np.sqrt(squares) + 1e-3)
        assert_close(got, p, dtype, 64, what=f"update {t}")


@every_lr_and_penalty
@pytest.mark.parametrize("updates", [0, 100_000])
@pytest.mark.parametrize("decoupled", [False, True])
def test_adam_by_hand(backend, dtype, rng, lr, updates, weight_decay, l1, decoupled):
    b1, b2, eps = 0.8, 0.99, 1e-3
    penalties, options = (weight_decay, l1), (b1, b2, eps, decoupled)
    history, gradients = _train(
        *(backend, dtype, rng, lr, (2, updates, 0)),
        lambda p, g, m, v, rates, at: backend.adam(
            p, g, m, v, Update(rates, at, *penalties), *options
        ),
        states=2,
    )
    p, m, v = history[0], np.zeros(37), np.zeros(37)
    for i, (g, got) in enumerate(zip(gradients, history[1:], strict=True)):
        rate, t = (lr * 7)[2 + i], updates + i + 1
        d = g + l1 * np.sign(p) + (0 if decoupled else weight_decay * p)
        p = p - rate * weight_decay * p if decoupled else p
        m, v = b1 * m + (1 - b1) * d, b2 * v + (1 - b2) * d * d
        p = p - rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
        assert_close(got, p, dtype, 64, what=f"update {i}")


@pytest.mark.parametrize("updates", [0, 1, 9])
def test_adam_bias_correction_is_precise(backend, dtype, updates):
    """``1 - 0.999**t`` loses three digits of any dtype; of float32 none can be spared."""
    g = np.array([1e-3, 0.5, -2, 30], dtype)
    p, m, v = (backend.zeros(4, dtype) for _ in range(3))
    at = counters(backend, 0, updates)
    rate = backend.asarray(np.array([0.25]))
    backend.adam(p, backend.asarray(g), m, v, Update(rate, at), 0.9, 0.999, 1e-8, False)
    t = updates + 1
    m_hat = 0.1 * g.astype(np.float64) / (1 - 0.9**t)
    v_hat = 0.001 * g.astype(np.float64) ** 2 / (1 - 0.999**t)
    want = -0.25 * m_hat / (np.sqrt(v_hat) + 1e-8)
    ulps = 16 if dtype == np.float32 else 2000
    assert_close(backend.to_numpy(p), want, dtype, ulps, scale=0)


def test_optimizers_keep_nan(backend, dtype):
    lr, at = backend.asarray(np.array([0.1])), counters(backend)
    g, real = backend.asarray([np.nan, 1.0], dtype), arithmetic(dtype)
    m, v, squares = (backend.zeros(2, real) for _ in range(3))
    master = None if real == dtype else backend.zeros(2, real)
    update = Update(lr, at, master=master)
    for carry_out in (
        lambda p: backend.sgd(p, g, None, update, 0.0, False),
        lambda p: backend.adam(p, g, m, v, update, 0.9, 0.999, 1e-8, False),
        lambda p: backend.adaptive(p, g, squares, update, 1.0, 1.0, 1e-8),
    ):
        p = backend.asarray([1.0, 1.0], dtype)
        carry_out(p)
        assert np.isnan(backend.to_numpy(p)).tolist() == [True, False]


@pytest.mark.parametrize(("step", "rate"), [(-(2**40), 1), (-1, 1), (1, 2), (2, 2), (2**40, 2)])
def test_the_learning_rate_beyond_the_schedule(backend, step, rate):
    """It is the nearest one."""
    p, g = (backend.asarray(np.ones(3), np.float32) for _ in range(2))
    backend.sgd(
        p, g, None, Update(backend.asarray([1.0, 2.0]), counters(backend, step)), 0.0, False
    )
    assert backend.to_numpy(p).tolist() == [1 - rate] * 3
