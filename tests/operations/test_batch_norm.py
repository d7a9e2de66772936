"""Normalisation of columns: values, large means, first rows unlike the others, NaN, ReLU."""

from __future__ import annotations

import numpy as np
import pytest

from nnkit.backends.contract import Norm, Running
from nnkit.dtypes import arithmetic
from tests.helpers import assert_close, random_array
from tests.operations.normalizing import EPS, inputs_of, norm_of
from tests.operations.shared import at_shapes

each_kind = pytest.mark.parametrize("kind", ["identity", "relu"])


def forward(backend, x, kind="identity"):
    """Normalise an array of the host; return y, mean, var and the running variance."""
    m, real = x.shape[1], arithmetic(x.dtype)
    norm = Norm(*(backend.asarray(np.full(m, v), x.dtype) for v in (1, 0)), EPS)
    mean, var = (backend.empty(m, real) for _ in range(2))
    y, running = backend.empty(x.shape, x.dtype), [backend.zeros(m, real) for _ in range(2)]
    backend.batch_norm_forward(kind, backend.asarray(x), norm, Running(*running, 1.0), mean, var, y)
    return [backend.to_numpy(array) for array in (y, mean, var, running[1])]


@each_kind
@at_shapes(lambda shape: shape[0] > 1)
def test_batch_norm_forward(check, shape, rng, kind):
    m = shape[1]
    inputs = inputs_of(rng, shape, "x gamma beta")
    largest = 1 / np.sqrt(inputs["x"].var(axis=0) + EPS).min()
    check(
        lambda b, v: b.batch_norm_forward(
            *(kind, v.x, norm_of(v), Running(v.running_mean, v.running_var, 0.3)),
            *(v.mean, v.var, v.y),
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


@each_kind
def test_batch_norm_inference(check, shape, rng, kind):
    check(
        lambda b, v: b.batch_norm_inference(kind, v.x, norm_of(v), v.mean, v.var, v.y),
        inputs_of(rng, shape, "x gamma beta mean var"),
        {"y": shape},
        ulps=16,
        scale=4,
    )


@pytest.mark.parametrize("batch_statistics", [True, False])
@each_kind
def test_batch_norm_backward(check, shape, rng, kind, batch_statistics):
    n, m = shape
    check(
        lambda b, v: b.batch_norm_backward(
            *(kind, v.dy, v.y, v.x, norm_of(v), v.mean, v.var),
            *(v.dgamma, v.dbeta, v.dx, batch_statistics),
        ),
        inputs_of(rng, shape, "dy y x gamma beta mean var"),
        {"dgamma": (m,), "dbeta": (m,), "dx": shape},
        ulps=16,
        scale={"dgamma": 4 * max(n, 1), "dbeta": max(n, 1), "dx": 16},
    )


@pytest.fixture
def pixels(small) -> int:
    """Rows of images: on a CPU so many that there are several tasks, and tiles of many rows."""
    return 700 if small else 20_001


@pytest.mark.parametrize("channels", [3, 16, 64])
def test_images(check, pixels, rng, channels):
    """Many rows of few columns."""
    shape = pixels, channels
    inputs = inputs_of(rng, shape, "dy x gamma beta")
    vectors = dict.fromkeys(("mean", "var", "dgamma", "dbeta"), (channels,))
    averages = {"running_mean": np.zeros(channels), "running_var": np.ones(channels)}

    def run(b, v):
        running = Running(v.running_mean, v.running_var, 0.3)
        b.batch_norm_forward("relu", v.x, norm_of(v), running, v.mean, v.var, v.y)
        gradients = v.dgamma, v.dbeta, v.dx
        b.batch_norm_backward("relu", v.dy, v.y, v.x, norm_of(v), v.mean, v.var, *gradients, True)

    matrices = dict.fromkeys(("y", "dx"), shape)
    scale = {"y": 4, "dx": 4, "dgamma": pixels, "dbeta": pixels}
    ulps = 128  # the reference adds up so many rows one after the other
    check(run, inputs, vectors | averages | matrices, ulps=ulps, scale=scale)


def test_a_relu_behind_it_gives_the_same_bits(backend, dtype, pixels, rng):
    """As one operation or as two, forward and backward."""
    shape, real = (pixels, 5), arithmetic(dtype)
    given = inputs_of(rng, shape, "x dy gamma beta")
    x, dy, gamma, beta = (backend.asarray(array, dtype) for array in given.values())
    norm = Norm(gamma, beta, EPS)

    def results(fused):
        mean, var = (backend.zeros(5, real) for _ in range(2))
        running = Running(*(backend.zeros(5, real) for _ in range(2)), 0.1)
        y, dgamma, dbeta, dx = (backend.empty(s, dtype) for s in (shape, 5, 5, shape))
        kind = "relu" if fused else "identity"
        backend.batch_norm_forward(kind, x, norm, running, mean, var, y)
        z = y if fused else backend.activation("relu", y)
        dz = dy if fused else backend.activation_backward("relu", dy, z)
        gradients = dgamma, dbeta, dx
        backend.batch_norm_backward(kind, dz, z, x, norm, mean, var, *gradients, True)
        inference = backend.empty(shape, dtype)
        backend.batch_norm_inference(kind, x, norm, mean, var, inference)
        inference = inference if fused else backend.activation("relu", inference)
        arrays = z, inference, *running[:2], mean, var, dgamma, dbeta, dx
        return [backend.to_numpy(array).tobytes() for array in arrays]

    assert results(fused=True) == results(fused=False)


@pytest.mark.parametrize("shape", [(300, 7), (7, 300)])
def test_batch_norm_far_from_zero(backend, dtype, rng, shape):
    """Mean 1e4 and deviation 1: a variance from ``mean(x**2) - mean(x)**2`` would be noise."""
    x = (1e4 + random_array(rng, shape)).astype(dtype)
    exact = x.astype(np.float64) - 1e4
    near = (4 if dtype == np.float32 else 32) * 1e4 * np.finfo(dtype).eps
    # A few ulps of x: float32 is added up more precisely than it is stored, float64 is not.
    y, mean, var, running_var = forward(backend, x)
    rms = np.sqrt(exact.var(axis=0) + EPS)
    want = (exact - exact.mean(axis=0)) / rms
    np.testing.assert_allclose(y, want, rtol=0, atol=near / rms.min())
    assert_close(var, exact.var(axis=0), dtype, ulps=32, scale=0)
    assert_close(running_var, exact.var(axis=0, ddof=1), dtype, ulps=32, scale=0)
    assert_close(mean, 1e4 + exact.mean(axis=0), dtype, ulps=8, scale=0)


def test_first_rows_unlike_the_others(backend, dtype, pixels, rng):
    """What is first taken for the mean is far from it; the variance is exact nevertheless."""
    x = random_array(rng, (pixels, 3))
    x[:5] += 1e3
    x = x.astype(dtype)
    _, mean, var, _ = forward(backend, x)
    exact = x.astype(np.longdouble)
    assert_close(var, exact.var(axis=0).astype(float), dtype, ulps=256, scale=0)
    assert_close(mean, exact.mean(axis=0).astype(float), dtype, ulps=256)


def test_a_constant_column_has_no_variance(backend, dtype, pixels):
    x = np.tile(np.array([0.1, -1e9, 1e30, 0]).astype(dtype), (pixels, 1))
    y, mean, var, _ = forward(backend, x)
    assert (var >= 0).all()
    assert_close(mean, x[0].astype(float), dtype, ulps=4, scale=0)
    assert np.isfinite(y[:, [0, 3]]).all()


def test_batch_norm_keeps_nan_where_it_is(backend, dtype, rng):
    x = random_array(rng, (40, 9), dtype)
    x[3, 4], x[30, 6] = np.nan, np.inf
    for kind in ("identity", "relu"):
        y, *_ = forward(backend, x, kind)
        assert np.flatnonzero(np.isnan(y).any(axis=0)).tolist() == [4, 6]


def test_a_relu_passes_back_what_is_above_zero(backend, dtype):
    """Neither at 0 nor where y is NaN, as by the activation alone."""
    y = np.array([[1, 0.0, -0.0, np.nan, np.inf]], dtype).T
    dy, one, zero = (backend.asarray(np.full(s, v), dtype) for s, v in ((5, 2), (1, 1), (1, 0)))
    real = [backend.asarray(np.full(1, v), arithmetic(dtype)) for v in (0, 1 - 1e-5)]
    dgamma, dbeta, dx = (backend.empty(s, dtype) for s in (1, 1, (5, 1)))
    x = backend.zeros((5, 1), dtype)
    norm = Norm(one, zero, 1e-5)
    dy = dy.reshape(5, 1)
    gradients = dgamma, dbeta, dx
    backend.batch_norm_backward("relu", dy, backend.asarray(y), x, norm, *real, *gradients, False)
    assert backend.to_numpy(dbeta).tolist() == [4]
    assert_close(backend.to_numpy(dx)[:, 0], np.array([2.0, 0, 0, 0, 2]), dtype)


def test_another_activation_is_an_operation_of_its_own(backend):
    x = backend.zeros((2, 1), np.float32)
    one = backend.zeros(1, np.float32)
    message = (
        "^batch normalisation is one operation with identity or relu, not with 'tanh': call the "
        "activation behind it$"
    )
    with pytest.raises(ValueError, match=message):
        backend.batch_norm_inference("tanh", x, Norm(one, one, EPS), one, one, x.copy())
