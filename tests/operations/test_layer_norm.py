"""Normalisation of rows: values, large means, large numbers, NaN."""

from __future__ import annotations

import numpy as np
import pytest

from nnkit.backends.contract import Norm
from nnkit.dtypes import arithmetic
from tests.helpers import assert_close, random_array
from tests.operations.normalizing import EPS, inputs_of, norm_of


def test_layer_norm_forward(check, shape, rng):
    inputs = inputs_of(rng, shape, "x gamma beta")
    largest = 1 / np.sqrt(inputs["x"].var(axis=1) + EPS).min(initial=1)
    check(
        lambda b, v: b.layer_norm_forward(v.x, norm_of(v), v.mean, v.inv_std, v.y),
        inputs,
        {"mean": shape[:1], "inv_std": shape[:1], "y": shape},
        scale={"inv_std": largest**2, "y": largest},
    )


def test_layer_norm_backward(check, shape, rng):
    n, m = shape
    inputs = inputs_of(rng, shape, "dy x gamma beta")
    inputs |= {"mean": random_array(rng, n), "inv_std": rng.random(n) + 0.1}
    check(
        lambda b, v: b.layer_norm_backward(
            v.dy, v.x, norm_of(v), v.mean, v.inv_std, v.dgamma, v.dbeta, v.dx
        ),
        inputs,
        {"dgamma": (m,), "dbeta": (m,), "dx": shape},
        ulps=16,
        scale={"dgamma": 4 * max(n, 1), "dbeta": max(n, 1), "dx": 16},
    )


@pytest.mark.parametrize("shape", [(300, 7), (7, 300)])
def test_layer_norm_far_from_zero(backend, dtype, rng, shape):
    """Mean 1e4 and deviation 1: a variance from ``mean(x**2) - mean(x)**2`` would be noise."""
    n, m = shape
    x = (1e4 + random_array(rng, shape)).astype(dtype)
    exact = x.astype(np.float64) - 1e4
    near = (4 if dtype == np.float32 else 32) * 1e4 * np.finfo(dtype).eps
    # A few ulps of x: float32 is added up more precisely than it is stored, float64 is not.
    norm = Norm(*(backend.asarray(np.full(m, v), dtype) for v in (1, 0)), EPS)
    y, mean, inv_std = (backend.empty(s, dtype) for s in (shape, n, n))
    backend.layer_norm_forward(backend.asarray(x), norm, mean, inv_std, y)
    rms = np.sqrt(exact.var(axis=1, keepdims=True) + EPS)
    want = (exact - exact.mean(axis=1, keepdims=True)) / rms
    np.testing.assert_allclose(backend.to_numpy(y), want, rtol=0, atol=near / rms.min())
    assert_close(backend.to_numpy(inv_std), 1 / rms[:, 0], dtype, ulps=64, scale=0)


@pytest.mark.parametrize("columns", [5, 133, 1501])
def test_layer_norm_backward_of_large_numbers(backend, rng, columns):
    """What lies beyond the end of a row may not become 0 times infinity."""
    host = np.full((2, columns), 1e36), rng.standard_normal((2, columns)), np.ones(columns)
    x, dy, gamma = (backend.asarray(array, np.float32) for array in host)
    mean, inv_std = (backend.asarray(np.full(2, value), np.float32) for value in (1e36, 1e3))
    dgamma, dbeta = (backend.zeros(columns, np.float32) for _ in range(2))
    dx = backend.zeros(x.shape, np.float32)
    norm = Norm(gamma, gamma, EPS)
    backend.layer_norm_backward(dy, x, norm, mean, inv_std, dgamma, dbeta, dx)
    want = 1e3 * (host[1] - host[1].mean(axis=1, keepdims=True))
    assert_close(backend.to_numpy(dx), want, np.float32, 32, scale=1e3)


def test_layer_norm_keeps_nan_where_it_is(backend, dtype, rng):
    x = random_array(rng, (40, 9), dtype)
    x[3, 4], x[30, 6] = np.nan, np.inf
    norm = Norm(*(backend.asarray(np.ones(9, dtype)) for _ in range(2)), EPS)
    rows = [backend.empty(40, arithmetic(dtype)) for _ in range(2)]
    y = backend.empty((40, 9), dtype)
    backend.layer_norm_forward(backend.asarray(x), norm, *rows, y)
    assert np.flatnonzero(np.isnan(backend.to_numpy(y)).any(axis=1)).tolist() == [3, 30]
