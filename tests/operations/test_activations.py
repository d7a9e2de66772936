"""Activations by themselves and fused with a bias: values, extremes, gradients."""

from __future__ import annotations

import numpy as np
import pytest

from nnkit.kernels.table import ACTIVATIONS
from tests.helpers import random_array
from tests.operations.shared import (
    ALPHA,
    EXTREMES,
    KINDS,
    TRAINABLE,
    kinds_at_shapes,
    quarters,
    saved_by,
)

ULPS = {"gelu_tanh": 2000}
"""Its tail, exp(-x^3 / 14), multiplies each rounding error by hundreds."""
EVERYWHERE = "relu", "tanh", "gelu"
"""A mask, and what is computed from the output and from the input."""

every_kind = pytest.mark.parametrize("kind", KINDS)
every_trainable = pytest.mark.parametrize("kind", TRAINABLE)


def _away_from_kinks(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) < 0.1, 0.5, x)


@kinds_at_shapes(KINDS, EVERYWHERE)
def test_bias_activation(check, shape, rng, kind):
    inputs, z = {"bias": quarters(rng, shape[1])}, 2 * quarters(rng, *shape)
    saves_input = ACTIVATIONS[kind].saved == "x"
    check(
        lambda b, v: b.bias_activation(kind, v.z, v.bias, v.y, ALPHA),
        inputs,
        {"z": z, "y": shape},
        ulps=16,
        scratch=() if saves_input else ("z",),
    )
    if not saves_input:
        check(
            lambda b, v: b.bias_activation(kind, v.y, v.bias, v.y, ALPHA),
            inputs,
            {"y": z},
            ulps=16,
        )


@pytest.mark.parametrize("kind", EVERYWHERE)
def test_bias_activation_without_bias(check, rng, kind):
    check(
        lambda b, v: b.bias_activation(kind, v.z, None, v.y, ALPHA),
        {},
        {"z": random_array(rng, (7, 5)), "y": (7, 5)},
        ulps=16,
        scratch=("z",),
    )


@kinds_at_shapes(TRAINABLE, EVERYWHERE)
def test_bias_activation_backward(check, shape, rng, kind):
    dy, saved = random_array(rng, shape), saved_by(kind, random_array(rng, shape))
    scale = {"dbias": max(shape[0], 1)}
    check(
        lambda b, v: b.bias_activation_backward(kind, v.dy, v.saved, v.dz, v.dbias, ALPHA),
        {"dy": dy, "saved": saved},
        {"dz": shape, "dbias": shape[1:]},
        scale=scale,
    )
    check(
        lambda b, v: b.bias_activation_backward(kind, v.dz, v.saved, v.dz, v.dbias, ALPHA),
        {"saved": saved},
        {"dz": dy, "dbias": shape[1:]},
        scale=scale,
    )
    check(
        lambda b, v: b.bias_activation_backward(kind, v.dy, v.saved, v.dz, None, ALPHA),
        {"dy": dy, "saved": saved},
        {"dz": shape},
    )


@kinds_at_shapes(KINDS, EVERYWHERE)
def test_activation(check, shape, rng, kind):
    """The error is relative: tiny values count as much as large ones."""
    check(
        lambda b, v: b.activation(kind, v.x, v.y, ALPHA),
        {"x": random_array(rng, shape) * 4},
        {"y": shape},
        ulps=ULPS.get(kind, 24),
        scale=0,
    )


@every_kind
@pytest.mark.parametrize("shape", [(), (7,), (2, 0, 4)], ids=str)
def test_activation_of_any_shape(check, rng, kind, shape):
    check(
        lambda b, v: b.activation(kind, v.x, v.y, ALPHA),
        {"x": np.asarray(random_array(rng, shape))},
        {"y": shape},
        ulps=24,
    )


@every_kind
def test_activation_at_extremes(check, kind):
    with np.errstate(invalid="ignore"):
        values = check(
            lambda b, v: b.activation(kind, v.x, v.y, ALPHA),
            {"x": EXTREMES},
            {"y": EXTREMES.shape},
            scale=0,
            ulps=ULPS.get(kind, 24),
        )["y"]
    assert np.isnan(values[-1]), "NaN in, NaN out"


@pytest.mark.parametrize(
    ("kind", "x", "y"),
    [
        ("sigmoid", [1e4, -1e4, np.inf, -np.inf, 0], [1, 0, 1, 0, 0.5]),
        ("tanh", [1e4, -1e4, np.inf, -np.inf, 0], [1, -1, 1, -1, 0]),
        ("relu", [1e4, -1e4, np.inf, -np.inf, 0], [1e4, 0, np.inf, 0, 0]),
        ("step", [1e-30, -1e4, np.inf, -np.inf, 0], [1, 0, 1, 0, 0]),
        ("identity", [1e4, -1e4, np.inf, -np.inf, 0], [1e4, -1e4, np.inf, -np.inf, 0]),
        ("elu", [1e4, -1e4, np.inf, -np.inf, 0], [1e4, -1, np.inf, -1, 0]),
        ("gelu", [1e4, -1e4, np.inf, -np.inf, 0], [1e4, 0, np.inf, 0, 0]),
        ("gelu_tanh", [1e4, -1e4, np.inf, -np.inf, 0], [1e4, 0, np.inf, 0, 0]),
        ("softplus", [1e4, -1e4, np.inf, -np.inf], [1e4, 0, np.inf, 0]),
        ("softsign", [1.0, -1.0, np.inf, -np.inf, 0], [0.5, -0.5, 1, -1, 0]),
        ("silu", [1e4, -1e4, np.inf, -np.inf, 0], [1e4, 0, np.inf, 0, 0]),
        ("hard_sigmoid", [3, -3, np.inf, -np.inf, 0], [1, 0, 1, 0, 0.5]),
        ("exponential", [1e4, -1e4, np.inf, -np.inf, 0], [np.inf, 0, np.inf, 0, 1]),
    ],
)
def test_activation_is_exact_at_its_ends(backend, dtype, kind, x, y):
    values = backend.to_numpy(backend.activation(kind, backend.asarray(x, dtype), alpha=1.0))
    assert values.tolist() == y


@kinds_at_shapes(TRAINABLE, EVERYWHERE)
def test_activation_backward(check, shape, rng, kind):
    check(
        lambda b, v: b.activation_backward(kind, v.dy, v.saved, v.dx, ALPHA),
        {"dy": random_array(rng, shape), "saved": saved_by(kind, random_array(rng, shape))},
        {"dx": shape},
    )


@every_trainable
def test_activation_backward_at_extremes(check, kind):
    """Also where the gradient itself is infinite or NaN: masks hide it, the others multiply."""
    x = np.concatenate([EXTREMES, EXTREMES, [0.5, -0.5]])
    dy = np.repeat([1, np.nan, -np.inf], [EXTREMES.size, EXTREMES.size, 2])
    with np.errstate(invalid="ignore", over="ignore"):
        dx = check(
            lambda b, v: b.activation_backward(kind, v.dy, v.saved, v.dx, ALPHA),
            {"dy": dy, "saved": saved_by(kind, x)},
            {"dx": dy.shape},
        )["dx"]
    assert np.isnan(dx[EXTREMES.size + 2]), "a NaN gradient stays NaN"


def test_activation_backward_of_relu_is_a_mask(backend, dtype):
    dy = backend.asarray([1.0, 2.0, -np.inf, np.nan, np.inf], dtype)
    y = backend.asarray([1.0, 0.0, 0.0, 0.0, 1e-30], dtype)
    dx = backend.activation_backward("relu", dy, y)
    assert backend.to_numpy(dx).tolist() == [1, 0, 0, 0, np.inf]


@every_trainable
def test_activation_backward_equals_central_differences(backend, rng, kind):
    x, h = _away_from_kinks(random_array(rng, (5, 7))), 1e-6
    dy = random_array(rng, (5, 7))

    def f(values):
        return backend.to_numpy(backend.activation(kind, backend.asarray(values), alpha=ALPHA))

    saved = x if ACTIVATIONS[kind].saved == "x" else f(x)
    dx = backend.activation_backward(kind, backend.asarray(dy), backend.asarray(saved), alpha=ALPHA)
    numeric = dy * (f(x + h) - f(x - h)) / ((x + h) - (x - h))
    np.testing.assert_allclose(backend.to_numpy(dx), numeric, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in TRAINABLE])
def test_activation_backward_refuses_what_has_no_gradient(backend, kind):
    array = backend.zeros(3, np.float32)
    with pytest.raises(ValueError, match=f"{kind!r} has no gradient"):
        backend.activation_backward(kind, array, array)


def test_bias_gradient(check, shape, rng):
    check(
        lambda b, v: b.bias_gradient(v.dy, v.dbias),
        {"dy": random_array(rng, shape)},
        {"dbias": shape[1:]},
        scale=max(shape[0], 1),
    )


def test_bias_gradient_keeps_nan(backend, dtype):
    dbias = backend.empty(3, dtype)
    backend.bias_gradient(backend.asarray([[1, np.nan, np.inf], [2, 3, 4]], dtype), dbias)
    assert np.array_equal(backend.to_numpy(dbias), [3, np.nan, np.inf], equal_nan=True)
