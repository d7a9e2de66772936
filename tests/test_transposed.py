"""ConvTranspose2d: PyTorch's values, gradients, initial weights, errors."""

from __future__ import annotations

import numpy as np
import pytest

import nnkit
from nnkit import Conv2d, ConvTranspose2d, Flatten, Sequential


def host(model, array):
    return np.array(model.backend.to_numpy(array))


def ramp(shape, period):
    """Small whole numbers in turn."""
    return (np.arange(np.prod(shape)) % period - period // 2).reshape(shape).astype(float)


def numbers(text):
    return np.array(text.split(), float)


PYTORCH = [
    (
        ((2, 3, 2), (2, 2), {}),
        "9 -3 1 2 -5 2 -1 -2 -9 4 15 -5 3 -4 1 -3 -2 -4 -6 16 2 -4 2 -3",
        "-9 24 13 20 2 -6 13 -14 -9 -7 -9 11",
        "16 -10 36 -2 34 -5 -1 25 -22 -12 -13 -15 -15 -29 16 -10",
        "-5 -4",
    ),
    (
        ((2, 3, 2), (3, 2), {"stride": 2, "padding": 1, "output_padding": 1}),
        "-1 -3 0 1 1 -3 6 -5 3 -3 21 -6 7 -3 1 1 -1 5 -5 1 -2 11 -3 4 0 -3 3 -2 2 -3 -2 -4 3 -5 6 "
        "-2 1 1 0 0",
        "-18 -7 6 -10 2 -2 19 -15 2 -9 5 -9",
        "8 4 6 4 19 -11 -13 19 14 6 12 8 37 8 35 5 -6 -7 14 6 6 -11 37 8",
        "-6 -8",
    ),
    (
        ((2, 2, 2), (3, 2), {"stride": (3, 2), "padding": (0, 1), "output_padding": (2, 0)}),
        "-1 2 3 -1 -1 -3 0 1 9 -3 2 -2 -1 -2 -2 -4 3 -3 -2 -4 -3 1 -2 -4 1 -1 1 -1 1 -1 1 -1",
        "-12 10 -7 -9 -11 7 1 -6",
        "-3 6 -1 3 11 2 9 2 5 -6 7 -9 3 2 1 2 -20 15 -7 12 -5 2 -7 2",
        "-5 0",
    ),
]
"""Shape of x, kernel, options; then y, dx, dW, db of torch.nn.functional.conv_transpose2d in
PyTorch 2.14.1, for x = ramp(7), W = ramp(5), b = (1, -1) and dy = ramp(11), turned to nnkit's
layout."""


@pytest.mark.parametrize(("geometry", "y", "dx", "dweight", "dbias"), PYTORCH)
def test_values_of_pytorch(backend, dtype, geometry, y, dx, dweight, dbias):
    shape, kernel, options = geometry
    layer = ConvTranspose2d(2, 2, kernel, init=ramp((*kernel, 2, 2), 5), **options)
    model = Sequential(layer, backend=backend, dtype=dtype.name)
    layer.b.value = np.array([1, -1])
    got = host(model, model(ramp((1, *shape), 7)))
    np.testing.assert_array_equal(got.ravel(), numbers(y))
    dy = ramp(got.shape, 11)
    np.testing.assert_array_equal(host(model, model.backward(dy)).ravel(), numbers(dx))
    np.testing.assert_array_equal(host(model, layer.W.grad).ravel(), numbers(dweight))
    np.testing.assert_array_equal(host(model, layer.b.grad), numbers(dbias))


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3},
        {"kernel_size": (3, 2), "stride": 2, "padding": 1, "output_padding": (1, 0)},
        {"kernel_size": 4, "stride": (3, 2), "padding": (0, 1), "bias": False},
        {"kernel_size": 1, "stride": 3, "output_padding": 2},
        {"kernel_size": 3, "padding": 2},
    ],
    ids=str,
)
def test_gradients(backend, rng, options):
    """By central differences, of two behind each other: the second gives a dx, too."""
    layers = ConvTranspose2d(2, 3, **options), "tanh", ConvTranspose2d(3, 1, 2), Flatten()
    model = Sequential(*layers, backend=backend, dtype="float64", seed=0)
    x = rng.normal(size=(2, 4, 3, 2))
    with nnkit.use_backend(backend):
        assert nnkit.gradcheck(model, "mse", x, rng.normal(size=model(x).shape), samples=15).ok


def test_it_is_the_gradient_of_a_convolution(backend, rng):
    """``<conv(y), x> = <y, transposed(x)>`` with the same W."""
    options = {"kernel_size": (3, 2), "stride": 2, "padding": 1, "bias": False}
    w = rng.normal(size=(3, 2, 3, 2))
    makes = {"backend": backend, "dtype": "float64"}
    down = Sequential(Conv2d(3, 2, init=w, **options), **makes)
    up = Sequential(ConvTranspose2d(2, 3, init=w, output_padding=(0, 1), **options), **makes)
    large = rng.normal(size=(2, 5, 7, 3))
    small = host(down, down(large))
    x = rng.normal(size=small.shape)
    back = host(up, up(x))
    assert back.shape == large.shape
    assert (small * x).sum() == pytest.approx((large * back).sum(), rel=1e-12)


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "gelu", "leaky_relu", "identity"])
@pytest.mark.parametrize("bias", [True, False])
def test_one_operation_with_the_activation(backend, rng, activation, bias):
    x = rng.normal(size=(2, 3, 4, 2))
    results = []
    for fuse in (True, False):
        layers = ConvTranspose2d(2, 3, 3, stride=2, bias=bias), activation
        model = Sequential(*layers, backend=backend, dtype="float64", seed=0, fuse=fuse)
        for b in model.parameters()[1:]:
            b.value = np.arange(3) - 1
        assert len(model.steps) == 2 - fuse
        y = host(model, model(x))
        dx = host(model, model.backward(y**2 - 0.3))
        results.append((y, dx, host(model, model.flat.grads)))
    for fused, apart in zip(*results, strict=True):
        np.testing.assert_allclose(fused, apart, rtol=1e-12, atol=1e-13)


def test_one_channel_needs_no_axis(backend, rng):
    model = Sequential(ConvTranspose2d(1, 2, 2, stride=2), backend=backend, dtype="float64")
    x = rng.normal(size=(2, 3, 4))
    with_axis = host(model, model(x[..., None]))
    np.testing.assert_array_equal(host(model, model(x)), with_axis)
    assert model.backward(np.ones((2, 6, 8, 2))).shape == x.shape


def test_named_initial_weights_count_its_inputs():
    """Not its outputs, as they would by the shape of W; other ones get that shape."""
    wide = ConvTranspose2d(200, 2, 3, init="he"), ConvTranspose2d(2, 200, 3, init="he")
    for layer, inputs in zip(wide, (200, 2), strict=True):
        Sequential(layer, backend="numpy", seed=0)
        assert layer.W.to_numpy().std() == pytest.approx((2 / (9 * inputs)) ** 0.5, rel=0.05)
    seen = []
    layer = ConvTranspose2d(4, 5, 3, init=lambda rng, shape: seen.append(shape) or np.ones(shape))
    Sequential(layer, backend="numpy")
    assert seen == [(3, 3, 5, 4)] == [layer.weight.shape]


def test_it_takes_what_suits_the_activation():
    models = [
        Sequential(ConvTranspose2d(4, 5, 3, init=init), "relu", backend="numpy", seed=3)
        for init in (None, "he", "xavier")
    ]
    values = [model[0].W.to_numpy() for model in models]
    assert (values[0] == values[1]).all()
    assert (values[0] != values[2]).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: ConvTranspose2d(3, 4, 3, stride=(2, 1), output_padding=1),
            "ConvTranspose2d(3, 4, 3, stride=(2, 1), output_padding=1): output_padding must be "
            "less than stride; a larger stride makes larger images",
        ),
        (
            lambda: ConvTranspose2d(3, 4, 2, padding=4).output_shape((3, 3, 3)),
            "ConvTranspose2d(3, 4, 2, padding=4) makes images of -4 x -4 of shape (3, 3, 3): less "
            "padding leaves more of them",
        ),
        (
            lambda: ConvTranspose2d(3, 4, 2).output_shape((3, 5, 5)),
            "ConvTranspose2d(3, 4, 2) takes (height, width, 3), not shape (3, 5, 5); put "
            "ChannelsLast() in front for shape (3, height, width)",
        ),
    ],
)
def test_errors_of_the_transposed_convolution(make, message):
    with pytest.raises(ValueError) as caught:
        make()
    assert str(caught.value) == message
