"""Batch normalisation of a batch that ranks share: what all make of their parts is one batch's."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from nnkit.backends.contract import Norm, Running
from nnkit.dtypes import arithmetic
from tests.helpers import assert_close, random_array
from tests.operations.normalizing import EPS, inputs_of, norm_of

each_kind = pytest.mark.parametrize("kind", ["identity", "relu"])
SHAPES = [(1, 1), (7, 33), (2100, 10), (2, 1100)]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


@every_shape
def test_batch_norm_moments(check, shape, rng):
    n, m = shape
    check(
        lambda b, v: b.batch_norm_moments(v.x, 2, v.moments),
        {"x": random_array(rng, shape)},
        {"moments": (4, 2 * m + 1)},
        ulps=16,
        scale=n,
    )


@pytest.mark.parametrize("ranks", [1, 5])
def test_batch_norm_merge(check, rng, ranks):
    moments = rng.random((ranks, 2 * 9 + 1)) + 0.5
    moments[:, 0] = np.arange(ranks) + 2
    check(
        lambda b, v: b.batch_norm_merge(
            v.moments, Running(v.running_mean, v.running_var, 0.3), v.mean, v.var
        ),
        {"moments": moments},
        {"mean": (9,), "var": (9,), "running_mean": np.ones(9), "running_var": np.ones(9)},
        ulps=16,
    )


@each_kind
@every_shape
def test_batch_norm_sums(check, shape, rng, kind):
    n, m = shape
    check(
        lambda b, v: b.batch_norm_sums(
            *(kind, v.dy, v.y, v.x, norm_of(v), v.mean, v.var, v.dgamma, v.dbeta, v.sums)
        ),
        inputs_of(rng, shape, "dy y x gamma beta mean var"),
        {"dgamma": (m,), "dbeta": (m,), "sums": (2, m)},
        ulps=16,
        scale=4 * n,
    )


@each_kind
@every_shape
def test_batch_norm_input_gradient(check, shape, rng, kind):
    n, m = shape
    check(
        lambda b, v: b.batch_norm_input_gradient(
            *(kind, v.dy, v.y, v.x, norm_of(v), v.mean, v.var, v.sums, 3 * n, v.dx)
        ),
        inputs_of(rng, shape, "dy y x gamma beta mean var") | {"sums": random_array(rng, (2, m))},
        {"dx": shape},
        ulps=16,
        scale=16,
    )


def of_parts(backend, x, cuts):
    """Mean, variance and running variance of what ranks find between the cuts."""
    m, real = x.shape[1], arithmetic(x.dtype)
    total = np.zeros((len(cuts) - 1, 2 * m + 1), real)
    for rank, (first, last) in enumerate(pairwise(cuts)):
        moments = backend.empty(total.shape, real)
        backend.batch_norm_moments(backend.asarray(x[first:last]), rank, moments)
        total += backend.to_numpy(moments)
    mean, var = (backend.empty(m, real) for _ in range(2))
    running = Running(backend.zeros(m, real), backend.zeros(m, real), 1.0)
    backend.batch_norm_merge(backend.asarray(total), running, mean, var)
    return [backend.to_numpy(array) for array in (mean, var, running.var)]


@pytest.mark.parametrize("cuts", [(0, 300), (0, 1, 300), (0, 0, 120, 120, 299, 300)], ids=str)
def test_parts_far_from_zero(backend, dtype, rng, cuts):
    """Mean 1e4 and deviation 1, in parts with means of their own: no digits are lost."""
    x = 1e4 + random_array(rng, (300, 7)) + np.arange(300)[:, None] / 100
    x = x.astype(dtype)
    exact = x.astype(np.float64) - 1e4
    mean, var, running_var = of_parts(backend, x, cuts)
    assert_close(mean, 1e4 + exact.mean(axis=0), dtype, ulps=8, scale=0)
    real = arithmetic(dtype)  # the parts' means are rounded to it
    rounded = np.sqrt(exact.var(axis=0)).max() * 1e4 * float(np.finfo(real).eps)
    for got, want in ((var, exact.var(axis=0)), (running_var, exact.var(axis=0, ddof=1))):
        np.testing.assert_allclose(got, want, rtol=64 * np.finfo(real).eps, atol=4 * rounded)


def test_a_constant_column_in_parts_has_no_variance(backend, dtype):
    x = np.tile(np.array([0.1, -1e9, 1e30, 0]).astype(dtype), (40, 1))
    mean, var, _ = of_parts(backend, x, (0, 7, 40))
    assert (var[[0, 1, 3]] == 0).all()
    assert_close(mean, x[0].astype(float), dtype, ulps=4, scale=0)


def test_nan_of_one_rank_is_all_ranks(backend, dtype, rng):
    x = random_array(rng, (40, 9), dtype)
    x[3, 4], x[30, 6] = np.nan, np.inf
    mean, var, _ = of_parts(backend, x, (0, 10, 20, 40))
    assert np.flatnonzero(np.isnan(var)).tolist() == [4, 6]
    assert np.flatnonzero(~np.isfinite(mean)).tolist() == [4, 6]


@each_kind
def test_gradients_of_parts_are_those_of_the_batch(backend, dtype, rng, kind):
    given = inputs_of(rng, (23, 5), "x dy gamma beta")
    x, dy, gamma, beta = (backend.asarray(array, dtype) for array in given.values())
    norm, real = Norm(gamma, beta, EPS), arithmetic(dtype)
    mean, var = (backend.zeros(5, real) for _ in range(2))
    running = Running(backend.zeros(5, real), backend.zeros(5, real), 0.1)
    y, dx, part = (backend.empty((23, 5), dtype) for _ in range(3))
    dgamma, dbeta = (backend.empty(5, dtype) for _ in range(2))
    backend.batch_norm_forward(kind, x, norm, running, mean, var, y)
    backend.batch_norm_backward(kind, dy, y, x, norm, mean, var, dgamma, dbeta, dx, True)
    want = [np.array(backend.to_numpy(array), float) for array in (dbeta, dgamma, dx)]
    sums, total = backend.empty((2, 5), real), np.zeros((2, 5), real)
    cuts = [*pairwise((0, 1, 1, 14, 23))]
    for a, b in cuts:
        rows = dy[a:b], y[a:b], x[a:b]
        backend.batch_norm_sums(kind, *rows, norm, mean, var, dgamma, dbeta, sums)
        total += backend.to_numpy(sums)
    sums = backend.asarray(total)
    for a, b in cuts:
        rows = dy[a:b], y[a:b], x[a:b]
        backend.batch_norm_input_gradient(kind, *rows, norm, mean, var, sums, 23, part[a:b])
    assert_close(total[0], want[0], dtype, scale=23)
    assert_close(total[1], want[1], dtype, scale=23)
    assert_close(backend.to_numpy(part), want[2], dtype, ulps=16, scale=4)
