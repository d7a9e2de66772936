"""What makes images of inputs: of rows, and of images whose channels come first."""

from __future__ import annotations

import re

import numpy as np
import pytest

import nnkit
from nnkit import ChannelsLast, Conv2d, Flatten, Image, Linear, ReLU, Sequential


def host(model, array):
    return np.array(model.backend.to_numpy(array))


@pytest.mark.parametrize("shape", [(5, 24), (5, 3, 4, 2)])
def test_images_of_rows(backend, rng, shape):
    x, dy = rng.normal(size=shape), rng.normal(size=(5, 3, 4, 2))
    model = Sequential(Image(3, 4, 2), backend=backend, dtype="float64")
    y = host(model, model(x))
    assert np.array_equal(y, x.reshape(5, 3, 4, 2))
    assert np.array_equal(host(model, model.backward(dy)), dy.reshape(shape))


def test_images_of_one_channel(backend, rng):
    x = rng.normal(size=(5, 12))
    model = Sequential(Image(3, 4), backend=backend, dtype="float64")
    for shape in ((5, 12), (5, 3, 4), (5, 3, 4, 1)):
        assert host(model, model(x.reshape(shape))).shape == (5, 3, 4, 1)


@pytest.mark.parametrize("shape", [(5, 3, 4, 6), (2, 1, 7, 7), (1, 20, 9, 8), (3, 64, 1, 2)])
def test_channels_last(backend, rng, shape):
    x = rng.normal(size=shape)
    model = Sequential(ChannelsLast(), backend=backend, dtype="float64")
    y = host(model, model(x))
    assert np.array_equal(y, x.transpose(0, 2, 3, 1))
    assert np.array_equal(host(model, model.backward(y)), x)


def test_a_network_on_either(backend, rng):
    """Gradients reach what is in front, and both train captured as uncaptured."""
    x, t = rng.normal(size=(12, 2, 5, 4)), rng.integers(0, 3, 12)
    rest = Conv2d(2, 3, 3), ReLU(), Flatten(), Linear(18, 3)
    model = Sequential(ChannelsLast(), *rest, backend=backend, dtype="float64", seed=0)
    with nnkit.use_backend(backend):
        check = nnkit.gradcheck(model, nnkit.SoftmaxCrossEntropy(), x, t)
    assert check, str(check)
    first = [host(model, model(x)).tobytes()]
    model = Sequential(Image(5, 4, 2), *rest, backend=backend, dtype="float64", seed=0)
    rows = x.transpose(0, 2, 3, 1).reshape(12, 40)
    assert [host(model, model(rows)).tobytes()] == first


ERRORS = [
    (
        lambda: Image(28, 28).output_shape((783,)),
        "Image(height=28, width=28, channels=1) takes 784 numbers or shape (28, 28, 1), not shape "
        "(783,)",
    ),
    (
        lambda: Image(28, 28).output_shape((28,)),
        "Image(height=28, width=28, channels=1) takes 784 numbers or shape (28, 28, 1), not shape "
        "(28,); a single image is x[None]",
    ),
    (
        lambda: Image(8, 6, 3).output_shape((6, 3)),
        "Image(height=8, width=6, channels=3) takes 144 numbers or shape (8, 6, 3), not shape "
        "(6, 3); a single image is x[None]",
    ),
    (
        lambda: Image(8, 6, 3).output_shape((3, 8, 6)),
        "Image(height=8, width=6, channels=3) takes 144 numbers or shape (8, 6, 3), not shape "
        "(3, 8, 6); put ChannelsLast() in its place",
    ),
    (
        lambda: Image(8, 6, 3).output_shape((8, 6)),
        "Image(height=8, width=6, channels=3) takes 144 numbers or shape (8, 6, 3), not shape "
        "(8, 6)",
    ),
    (
        lambda: ChannelsLast().output_shape((8, 6)),
        "ChannelsLast() takes (channels, height, width), not shape (8, 6)",
    ),
    (lambda: Image(0, 4), "Image: height must be an integer of at least 1, not 0"),
]


@pytest.mark.parametrize(("call", "message"), ERRORS)
def test_errors(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()


def test_shapes():
    assert Image(28, 28).input_shape == (28, 28, 1)
    assert Image(8, 6, 3).output_shape((144,)) == (8, 6, 3)
    assert ChannelsLast().output_shape((3, 8, 6)) == (8, 6, 3)
