"""Initial weights: their statistics, and what they are asked for by."""

from __future__ import annotations

import numpy as np
import pytest

import nnkit
from nnkit import initializers

SHAPE = (300, 200)


def draw(init, shape=SHAPE, seed=0):
    values = initializers.get(init)(np.random.Generator(np.random.Philox(seed)), shape)
    assert values.shape == shape
    return values


@pytest.mark.parametrize(
    ("init", "deviation"),
    [
        ("xavier", np.sqrt(2 / (300 + 200))),
        ("he", np.sqrt(2 / 300)),
        ("lecun", np.sqrt(1 / 300)),
        ("normal", 0.01),
        (initializers.normal(0.5), 0.5),
        ("orthogonal", np.sqrt(1 / 300)),
    ],
)
def test_mean_and_deviation(init, deviation):
    """Within five standard errors."""
    values = draw(init)
    assert abs(values.mean()) < 5 * deviation / np.sqrt(values.size)
    assert values.std() == pytest.approx(deviation, rel=5 / np.sqrt(2 * values.size))


@pytest.mark.parametrize("init", ["he", "lecun", "normal"])
def test_normal_numbers_have_tails(init):
    """One in 370 is beyond three standard deviations."""
    values = draw(init)
    beyond = (np.abs(values) > 3 * values.std()).mean()
    assert 0.5 / 370 < beyond < 2 / 370


def test_xavier_is_uniform():
    limit, values = np.sqrt(6 / 500), draw("xavier")
    assert np.abs(values).max() <= limit
    counts, _ = np.histogram(values, bins=10, range=(-limit, limit))
    assert (abs(counts - 6000) < 5 * np.sqrt(6000)).all()


def test_constants():
    assert not draw("zeros").any()
    assert (draw(initializers.constant(0.25)) == 0.25).all()


@pytest.mark.parametrize("shape", [(5, 5), (30, 4), (4, 30), (1, 3), (1, 1)])
def test_orthogonal(shape):
    values = draw("orthogonal", shape)
    wide = shape[1] > shape[0]
    product = values @ values.T if wide else values.T @ values
    np.testing.assert_allclose(product, np.eye(min(shape)), atol=1e-14)


def test_orthogonal_matrices_are_drawn_evenly():
    """Without the choice of signs, an element of the diagonal is mostly of one sign."""
    first = np.array([draw("orthogonal", (2, 2), seed)[0, 0] for seed in range(400)])
    assert abs(first.mean()) < 5 * first.std() / 20
    assert first.std() == pytest.approx(np.sqrt(1 / 2), rel=0.2)


def test_orthogonal_is_for_matrices():
    with pytest.raises(ValueError, match=r"for a matrix, not for shape \(3,\)"):
        initializers.orthogonal(np.random.default_rng(0), (3,))


@pytest.mark.parametrize("init", initializers.INITIALIZERS)
def test_every_name_starts_a_layer(backend, init):
    model = nnkit.Sequential(nnkit.Linear(6, 4, init=init), backend=backend, seed=3)
    want = draw(init, (6, 4), seed=3).astype(np.float32)
    np.testing.assert_array_equal(backend.to_numpy(model[0].W.value), want)
    assert not backend.to_numpy(model[0].b.value).any()
