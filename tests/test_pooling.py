"""Pooling and upsampling as layers: gradients, shapes, places, errors."""

from __future__ import annotations

import copy
import re

import numpy as np
import pytest

import nnkit
from nnkit import AvgPool2d, Flatten, GlobalAvgPool2d, MaxPool2d, Sequential, Upsample2d


def host(model, array):
    return np.array(model.backend.to_numpy(array))


LAYERS = {
    "max": MaxPool2d(2),
    "max, overlapping": MaxPool2d(3, 2, 1),
    "max, uneven": MaxPool2d((2, 3), (3, 1), (1, 0)),
    "max, of all": MaxPool2d((6, 7)),
    "average": AvgPool2d(2),
    "average, overlapping": AvgPool2d(3, (1, 2), 1),
    "average, with gaps": AvgPool2d((1, 2), 3),
    "global": GlobalAvgPool2d(),
    "up": Upsample2d(2),
    "up, uneven": Upsample2d((1, 3)),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


@every_layer
def test_gradients(backend, rng, name, small):
    layer = copy.deepcopy(LAYERS[name])
    model = Sequential(layer, Flatten(), backend=backend, dtype="float64", seed=0)
    x, size = rng.normal(size=(3, 6, 7, 2)), int(np.prod(layer.output_shape((6, 7, 2))))
    t, samples = rng.normal(size=(3, size)), 9 if small else 100
    with nnkit.use_backend(backend):
        check = nnkit.gradcheck(model, nnkit.MeanSquaredError(), x, t, samples=samples)
    assert check, str(check)


@every_layer
def test_captured_as_uncaptured(backend, rng, name):
    layer = copy.deepcopy(LAYERS[name])
    size = int(np.prod(layer.output_shape((6, 7, 2))))
    first = Sequential(
        nnkit.Linear(84, 84),
        nnkit.Image(6, 7, 2),
        *(layer, Flatten(), nnkit.Linear(size, 3)),
        backend=backend,
        seed=0,
    )
    x, t, trained = rng.normal(size=(24, 84)), rng.integers(0, 3, 24), []
    for model, compiled in ((copy.deepcopy(first), True), (first, False)):
        losses = nnkit.Trainer(model).fit(x, t, 2, 8, compile=compiled).step_loss
        trained.append((losses, host(model, model.flat.values).tobytes()))
    assert trained[0] == trained[1]


def test_global_average_is_the_mean(backend, rng):
    x = rng.normal(size=(4, 5, 6, 3))
    model = Sequential(GlobalAvgPool2d(), backend=backend, dtype="float64")
    np.testing.assert_allclose(host(model, model(x)), x.mean(axis=(1, 2)), rtol=1e-12)
    ones = host(model, model(np.ones((2, 7, 7, 5))))
    assert (ones == 1).all(), "the mean of ones is one"


def test_upsampling_repeats_pixels(backend, rng):
    x = rng.normal(size=(2, 3, 4, 5))
    model = Sequential(Upsample2d((2, 3)), backend=backend, dtype="float64")
    assert np.array_equal(host(model, model(x)), x.repeat(2, axis=1).repeat(3, axis=2))
    dy = rng.normal(size=(2, 6, 12, 5))
    dx = dy.reshape(2, 3, 2, 4, 3, 5).sum(axis=(2, 4))
    np.testing.assert_allclose(host(model, model.backward(dy)), dx, rtol=1e-12)


def test_windows_that_a_byte_has_not_enough_numbers_for(backend, rng):
    x = rng.normal(size=(2, 17, 16, 3))
    for size, dtype in (((16, 16), np.uint8), ((17, 16), np.int32)):
        layer = MaxPool2d(size)
        assert layer.place_dtype is dtype
        model = Sequential(layer, backend=backend, dtype="float64")
        y, dx = host(model, model(x)), host(model, model.backward(np.ones((2, 1, 1, 3))))
        assert np.array_equal(y[:, 0, 0], x[:, : size[0]].max(axis=(1, 2)))
        assert dx.sum() == 6
        assert np.array_equal((x * dx).sum(axis=(1, 2)), y[:, 0, 0])


@pytest.mark.parametrize(
    ("layer", "text", "shape"),
    [
        (MaxPool2d(2), "MaxPool2d(2)", (5, 3, 4)),
        (MaxPool2d(2, 2), "MaxPool2d(2)", (5, 3, 4)),
        (MaxPool2d((3, 2), 1, 1), "MaxPool2d((3, 2), stride=1, padding=1)", (10, 8, 4)),
        (AvgPool2d((2, 3)), "AvgPool2d((2, 3))", (5, 2, 4)),
        (AvgPool2d(3, (2, 1), (0, 1)), "AvgPool2d(3, stride=(2, 1), padding=(0, 1))", (4, 7, 4)),
        (GlobalAvgPool2d(), "GlobalAvgPool2d()", (4,)),
        (Upsample2d((2, 2)), "Upsample2d(2)", (20, 14, 4)),
        (Upsample2d((2, 3)), "Upsample2d((2, 3))", (20, 21, 4)),
    ],
)
def test_repr_and_output_shape(layer, text, shape):
    assert repr(layer) == text
    assert layer.output_shape((10, 7, 4)) == shape


NO_IMAGE = (
    "takes (height, width, channels), not shape (7,); put Image(height, width, channels) in front"
)
ERRORS = [
    (
        lambda: MaxPool2d(3, padding=2),
        "MaxPool2d(3, padding=2): the padding may be half the size at most, so that each window "
        "sees the image",
    ),
    (
        lambda: AvgPool2d((1, 4), padding=1),
        "AvgPool2d((1, 4), padding=1): the padding may be half the size at most, so that each "
        "window sees the image",
    ),
    (
        lambda: MaxPool2d(4).output_shape((3, 5, 1)),
        "MaxPool2d(4): a window of 4 x 4 is larger than the image, 3 x 5 with its padding",
    ),
    (
        lambda: AvgPool2d(4, padding=1).output_shape((9, 1, 2)),
        "AvgPool2d(4, padding=1): a window of 4 x 4 is larger than the image, 11 x 3 with its "
        "padding",
    ),
    (lambda: MaxPool2d(2).output_shape((7,)), f"MaxPool2d(2) {NO_IMAGE}"),
    (lambda: AvgPool2d(2).output_shape((7,)), f"AvgPool2d(2) {NO_IMAGE}"),
    (lambda: GlobalAvgPool2d().output_shape((7,)), f"GlobalAvgPool2d() {NO_IMAGE}"),
    (lambda: Upsample2d(2).output_shape((7,)), f"Upsample2d(2) {NO_IMAGE}"),
    (
        lambda: Upsample2d(0),
        "Upsample2d: scale must be an integer of at least 1, not 0",
    ),
    (
        lambda: MaxPool2d("big"),
        "MaxPool2d: size must be an integer of at least 1 or a pair of them (height, width), not "
        "'big'",
    ),
]


@pytest.mark.parametrize(("call", "message"), ERRORS)
def test_errors(call, message):
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(message)}$"):
        call()
