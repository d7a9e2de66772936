"""Dropout2d as a layer: whole channels, the mask of both passes, errors."""

from __future__ import annotations

import numpy as np
import pytest

import nnkit

SHAPE = 40, 3, 5, 16


def make(backend, p=0.4):
    return nnkit.Sequential(nnkit.Dropout2d(p), backend=backend, seed=3)


def host(model, array):
    return np.array(model.backend.to_numpy(array))


def test_it_does_nothing_at_evaluation(backend):
    model = make(backend)
    np.testing.assert_array_equal(host(model, model(np.ones(SHAPE))), np.ones(SHAPE))


def test_channels_are_dropped_or_kept_as_a_whole(backend):
    model = make(backend).train()
    y = host(model, model(np.ones(SHAPE)))
    assert (y == y[:, :1, :1]).all()
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.6)}
    assert abs((y == 0).mean() - 0.4) < 5 * np.sqrt(0.4 * 0.6 / (40 * 16))


def test_backward_uses_the_mask_of_the_forward_pass(backend):
    model = make(backend).train()
    y = host(model, model(np.ones(SHAPE)))
    np.testing.assert_array_equal(host(model, model.backward(np.ones(SHAPE))), y)


def test_each_forward_pass_draws_a_new_mask(backend):
    model = make(backend).train()
    x = np.ones(SHAPE)
    assert (host(model, model(x)) != host(model, model(x))).any()


def test_the_mask_is_the_same_on_every_backend(backend):
    x = np.ones((7, 2, 2, 33))
    model = make(backend).train()
    np.testing.assert_array_equal(host(model, model(x)), make("numpy").train()(x))


@pytest.mark.parametrize("p", [-0.1, 1, float("nan")])
def test_bad_p(p):
    with pytest.raises(ValueError, match="Dropout2d: p must be at least 0 and below 1"):
        nnkit.Dropout2d(p)


def test_what_is_no_image():
    message = (
        r"Dropout2d\(p=0\.5\) takes \(height, width, channels\), not shape \(4,\); "
        "Dropout takes any$"
    )
    with pytest.raises(ValueError, match=message):
        nnkit.Sequential(nnkit.Dropout2d(), backend="numpy")(np.ones((2, 4)))
