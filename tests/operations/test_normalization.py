"""Normalisation of columns and of rows: values, large means, NaN."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from nnkit.backends.contract import Norm, Running
from nnkit.dtypes import arithmetic
from tests.helpers import assert_close, random_array
from tests.operations.shared import at_shapes

EPS = 1e-5


def _normalization_inputs(
    rng: np.random.Generator, shape: tuple[int, int]
) -> dict[str, np.ndarray]:
    m = shape[1]
    inputs = {name: random_array(rng, m) for name in ("gamma", "beta", "mean")}
    inputs |= {"x": random_array(rng, shape), "dy": random_array(rng, shape)}
    return inputs | {"var": rng.random(m) + 0.1}


def _norm(v: SimpleNamespace) -> Norm:
    return Norm(v.gamma, v.beta, EPS)


def _pick(arrays_: dict[str, np.ndarray], names: str) -> dict[str, np.ndarray]:
    return {name: arrays_[name] for name in names.split()}


@at_shapes(lambda shape: shape[0] > 1)
def test_batch_norm_forward(check, shape, rng):
    m = shape[1]
    inputs = _pick(_normalization_inputs(rng, shape), "x gamma beta")
    largest = 1 / np.sqrt(inputs["x"].var(axis=0) + EPS).min()
    check(
        lambda b, v: b.batch_norm_forward(
            *(v.x, _norm(v), Running(v.running_mean, v.running_var, 0.3), v.mean, v.var, v.y)
        ),
        inputs,
        {
            "running_mean": random_array(rng, m),
            "running_var": rng.random(m),
            "mean": (m,),
            "var": (m,),
            "y": shape,
        },
        scale={"y": largest},
    )


def test_batch_norm_inference(check, shape, rng):
    check(
        lambda b, v: b.batch_norm_inference(v.x, _norm(v), v.mean, v.var, v.y),
        _pick(_normalization_inputs(rng, shape), "x gamma beta mean var"),
        {"y": shape},
        ulps=16,
        scale=4,
    )


@pytest.mark.parametrize("batch_statistics", [True, False])
def test_batch_norm_backward(check, shape, rng, batch_statistics):
    n, m = shape
    check(
        lambda b, v: b.batch_norm_backward(
            *(v.dy, v.x, _norm(v), v.mean, v.var, v.dgamma, v.dbeta, v.dx, batch_statistics)
        ),
        _pick(_normalization_inputs(rng, shape), "dy x gamma beta mean var"),
        {"dgamma": (m,), "dbeta": (m,), "dx": shape},
        ulps=16,
        scale={"dgamma": 4 * max(n, 1), "dbeta": max(n, 1), "dx": 16},
    )


def test_layer_norm_forward(check, shape, rng):
    inputs = _pick(_normalization_inputs(rng, shape), "x gamma beta")
    largest = 1 / np.sqrt(inputs["x"].var(axis=1) + EPS).min(initial=1)
    check(
        lambda b, v: b.layer_norm_forward(v.x, _norm(v), v.mean, v.inv_std, v.y),
        inputs,
        {"mean": shape[:1], "inv_std": shape[:1], "y": shape},
        scale={"inv_std": largest**2, "y": largest},
    )


def test_layer_norm_backward(check, shape, rng):
    n, m = shape
    inputs = _pick(_normalization_inputs(rng, shape), "dy x gamma beta")
    inputs |= {"mean": random_array(rng, n), "inv_std": rng.random(n) + 0.1}
    check(
        lambda b, v: b.layer_norm_backward(
            v.dy, v.x, _norm(v), v.mean, v.inv_std, v.dgamma, v.dbeta, v.dx
        ),
        inputs,
        {"dgamma": (m,), "dbeta": (m,), "dx": shape},
        ulps=16,
        scale={"dgamma": 4 * max(n, 1), "dbeta": max(n, 1), "dx": 16},
    )


@pytest.mark.parametrize("shape", [(300, 7), (7, 300)])
def test_normalization_far_from_zero(backend, dtype, rng, shape):
    """Mean 1e4 and deviation 1: a variance from ``mean(x**2) - mean(x)**2`` would be noise."""
    n, m = shape
    x = (1e4 + random_array(rng, shape)).astype(dtype)
    exact = x.astype(np.float64) - 1e4
    near = (4 if dtype == np.float32 else 32) * 1e4 * np.finfo(dtype).eps
    # A few ulps of x: float32 is added up more precisely than it is stored, float64 is not.

    one, zero = backend.asarray(np.ones(m, dtype)), backend.asarray(np.zeros(m, dtype))
    norm = Norm(one, zero, 1e-5)
    y, mean, var = (backend.empty(s, dtype) for s in (shape, m, m))
    running = Running(backend.zeros(m, dtype), backend.zeros(m, dtype), 1.0)
    backend.batch_norm_forward(backend.asarray(x), norm, running, mean, var, y)
    rms = np.sqrt(exact.var(axis=0) + 1e-5)
    want = (exact - exact.mean(axis=0)) / rms
    np.testing.assert_allclose(backend.to_numpy(y), want, rtol=0, atol=near / rms.min())
    assert_close(backend.to_numpy(var), exact.var(axis=0), dtype, ulps=32, scale=0)
    assert_close(backend.to_numpy(running.var), exact.var(axis=0, ddof=1), dtype, ulps=32, scale=0)
    assert_close(backend.to_numpy(mean), 1e4 + exact.mean(axis=0), dtype, ulps=8, scale=0)

    mean, inv_std = backend.empty(n, dtype), backend.empty(n, dtype)
    backend.layer_norm_forward(backend.asarray(x), norm, mean, inv_std, y)
    rms = np.sqrt(exact.var(axis=1, keepdims=True) + 1e-5)
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


def test_normalization_keeps_nan_where_it_is(backend, dtype, rng):
    x = random_array(rng, (40, 9), dtype)
    x[3, 4], x[30, 6] = np.nan, np.inf
    norm = Norm(*(backend.asarray(np.ones(9, dtype)) for _ in range(2)), EPS)
    real = arithmetic(dtype)
    *averages, mean, var = (backend.asarray(np.ones(9, real)) for _ in range(4))
    y, rows = backend.empty((40, 9), dtype), [backend.empty(40, real) for _ in range(2)]
    backend.batch_norm_forward(backend.asarray(x), norm, Running(*averages, 0.1), mean, var, y)
    assert np.flatnonzero(np.isnan(backend.to_numpy(y)).any(axis=0)).tolist() == [4, 6]
    backend.layer_norm_forward(backend.asarray(x), norm, *rows, y)
    assert np.flatnonzero(np.isnan(backend.to_numpy(y)).any(axis=1)).tolist() == [3, 30]
