"""PReLU, with a slope of each column or one that all share."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers import random_array


@pytest.mark.parametrize("shared", [True, False])
def test_prelu(check, shape, rng, shared):
    slopes = random_array(rng, 1 if shared else shape[1])
    check(
        lambda b, v: b.prelu(v.x, v.slope, v.y),
        {"x": random_array(rng, shape), "slope": slopes},
        {"y": shape},
    )


@pytest.mark.parametrize("shared", [True, False])
def test_prelu_backward(check, shape, rng, shared):
    slopes = random_array(rng, 1 if shared else shape[1])
    check(
        lambda b, v: b.prelu_backward(v.dy, v.x, v.slope, v.dx, v.dslope),
        {"dy": random_array(rng, shape), "x": random_array(rng, shape), "slope": slopes},
        {"dx": shape, "dslope": slopes.shape},
        scale={"dslope": max(shape[0] * (shape[1] if shared else 1), 1)},
    )


def test_prelu_of_any_shape_and_at_extremes(check):
    x = np.array([[[np.inf, -np.inf]], [[np.nan, -0.0]], [[1e4, -1e4]]])
    inputs = {"x": x, "slope": np.array([0.25])}
    y = check(lambda b, v: b.prelu(v.x, v.slope, v.y), inputs, {"y": x.shape}, scale=0)["y"]
    want = [np.inf, -np.inf, np.nan, 0, 1e4, -2500]
    assert np.array_equal(y.ravel(), want, equal_nan=True)
    got = check(
        lambda b, v: b.prelu_backward(v.dy, v.x, v.slope, v.dx, v.dslope),
        {"dy": np.ones_like(x), **inputs},
        {"dx": x.shape, "dslope": (1,)},
    )
    assert got["dx"].ravel().tolist() == [1, 0.25, 0.25, 0.25, 1, 0.25]
    assert np.isnan(got["dslope"][0])
