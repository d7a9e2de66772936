"""Conv2d: gradients, fusion with what is behind it, shapes, initial weights, files and errors."""

from __future__ import annotations

import copy
import re

import numpy as np
import pytest

import nnkit
from nnkit import AvgPool2d, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential, Tanh
from nnkit.layers.fused_convolution import ConvolutionActivation, ConvolutionPooling


def host(model, array):
    return np.array(model.backend.to_numpy(array))


def network(backend, *layers, **options):
    return Sequential(*layers, backend=backend, **{"seed": 1, "dtype": "float64", **options})


GEOMETRIES = {
    "plain": Conv2d(2, 3, 3),
    "same": Conv2d(2, 3, 3, padding="same"),
    "same, even": Conv2d(2, 3, (2, 4), padding="same"),
    "valid": Conv2d(2, 3, (3, 2), padding="valid"),
    "stride": Conv2d(2, 3, 3, stride=(2, 3), padding=(1, 2)),
    "spread": Conv2d(2, 3, (3, 2), dilation=(2, 3), padding=2),
    "groups": Conv2d(2, 4, 3, groups=2, bias=False),
    "one by one": Conv2d(2, 5, 1),
    "all": Conv2d(2, 5, (6, 7), bias=False),
}


@pytest.mark.parametrize("name", GEOMETRIES)
def test_gradients(backend, rng, name, small):
    model = network(backend, copy.deepcopy(GEOMETRIES[name]), Flatten())
    x = rng.normal(size=(3, 6, 7, 2))
    t = rng.normal(size=(3, int(np.prod(GEOMETRIES[name].output_shape((6, 7, 2))))))
    with nnkit.use_backend(backend):
        check = nnkit.gradcheck(model, nnkit.MeanSquaredError(), x, t, samples=9 if small else 100)
    assert check, str(check)
    assert "0.weight" in check.errors


BEHIND = {
    "relu": (ReLU(),),
    "tanh": (Tanh(),),
    "gelu": (nnkit.GELU(),),
    "pool": (MaxPool2d(2),),
    "relu, pool": (ReLU(), MaxPool2d((2, 3))),
    "relu, pool with gaps": (ReLU(), MaxPool2d(2, 3)),
    "relu, overlapping pool": (ReLU(), MaxPool2d(3, 2, 1)),
    "relu, average": (ReLU(), AvgPool2d(2)),
}


@pytest.mark.parametrize("name", BEHIND)
def test_fused_as_unfused(backend, rng, name):
    x, results = rng.normal(size=(3, 7, 8, 2)), []
    for fuse in (True, False):
        layers = copy.deepcopy((Conv2d(2, 3, 3, padding=1), *BEHIND[name]))
        model = network(backend, *layers, fuse=fuse)
        y = host(model, model(x))
        dy = np.random.default_rng(2).normal(size=y.shape)
        dx = host(model, model.backward(dy))
        results.append([y, dx, host(model, model.flat.grads)])
    for fused, unfused in zip(*results, strict=True):
        np.testing.assert_allclose(fused, unfused, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("layers", "steps"),
    [
        ((ReLU(),), [ConvolutionActivation]),
        ((nnkit.GELU(),), [ConvolutionActivation]),
        ((nnkit.Step(),), [Conv2d, nnkit.Step]),
        ((MaxPool2d(2),), [ConvolutionPooling]),
        ((ReLU(), MaxPool2d(2)), [ConvolutionPooling]),
        ((ReLU(), MaxPool2d(2, 3)), [ConvolutionPooling]),
        ((Tanh(), MaxPool2d(2)), [ConvolutionActivation, MaxPool2d]),
        ((ReLU(), MaxPool2d(3, 2)), [ConvolutionActivation, MaxPool2d]),
        ((ReLU(), MaxPool2d(2, padding=1)), [ConvolutionActivation, MaxPool2d]),
        ((ReLU(), MaxPool2d(17)), [ConvolutionActivation, MaxPool2d]),
        ((ReLU(), AvgPool2d(2)), [ConvolutionActivation, AvgPool2d]),
    ],
    ids=lambda value: ", ".join(map(repr, value)) if isinstance(value, tuple) else "",
)
def test_what_is_fused(layers, steps):
    model = network("numpy", Conv2d(1, 2, 3), *copy.deepcopy(layers))
    assert [type(step) for step in model.steps] == steps


def test_gradients_of_a_network(backend, rng, small):
    model = network(
        backend,
        *(Conv2d(1, 3, 3, padding="same"), ReLU(), MaxPool2d(2), Conv2d(3, 4, 2), Tanh()),
        *(MaxPool2d(3, 2, 1), Flatten(), Linear(8, 3)),
    )
    with nnkit.use_backend(backend):
        check = nnkit.gradcheck(
            *(model, nnkit.SoftmaxCrossEntropy()),
            *(rng.normal(size=(5, 7, 9)), rng.integers(0, 3, 5)),
            samples=9 if small else 100,
        )
    assert check, str(check)
    assert {"0.weight", "0.bias", "3.weight", "3.bias"} <= check.errors.keys()


def test_captured_as_uncaptured(backend, rng):
    x, t = rng.normal(size=(40, 8, 8, 1)), rng.integers(0, 3, 40)
    layers = Conv2d(1, 4, 3, padding=1), ReLU(), MaxPool2d(2), Conv2d(4, 6, 3, stride=2), ReLU()
    first = network(backend, *layers, AvgPool2d(1), Flatten(), Linear(6, 3))
    trained = []
    for model, compiled in ((copy.deepcopy(first), True), (first, False)):
        losses = nnkit.Trainer(model).fit(x, t, 3, 8, compile=compiled).step_loss
        trained.append((losses, host(model, model.flat.values).tobytes()))
    assert trained[0] == trained[1]


def test_images_of_one_channel_may_come_without_an_axis_for_it(backend, rng):
    x = rng.normal(size=(3, 6, 7))
    model = network(backend, Conv2d(1, 2, 3))
    without, dy = host(model, model(x)), rng.normal(size=(3, 4, 5, 2))
    assert model.backward(dy).shape == x.shape
    assert host(model, model(x[..., None])).tobytes() == without.tobytes()
    assert model.backward(dy).shape == (*x.shape, 1)


def test_without_an_input_gradient_the_others_are_the_same(backend, rng):
    x, dy = rng.normal(size=(3, 6, 6, 2)), rng.normal(size=(3, 2, 2, 4))
    found = []
    for wanted in (True, False):
        model = network(backend, Conv2d(2, 4, 3), ReLU(), MaxPool2d(2))
        model(x)
        model.steps[0].input_gradient = wanted
        dx = model.steps[0].backward(model.backend.asarray(dy))
        assert (dx is not None) == wanted
        found.append(host(model, model.flat.grads).tobytes())
    assert found[0] == found[1]


def test_initial_weights_suit_what_is_behind():
    """He before ReLU, with as many inputs as a kernel sees."""
    deviations = []
    for behind in (ReLU(), Tanh()):
        model = network("numpy", Conv2d(32, 64, 3), behind)
        deviations.append(float(model[0].W.value.std()))
        assert (model[0].b.value == 0).all()
    fan_in, fan_out = 9 * 32, 9 * 64
    expected = [np.sqrt(2 / fan_in), np.sqrt(2 / (fan_in + fan_out))]
    np.testing.assert_allclose(deviations, expected, rtol=0.03)
    ones = network("numpy", Conv2d(2, 3, 2, init="ones"), ReLU())
    assert (ones[0].W.value == 1).all()


def test_files(backend, rng, tmp_path):
    conv = Conv2d(2, 4, (3, 2), stride=(1, 2), padding=(0, 1), groups=2, dilation=(2, 1))
    model = network(backend, conv, ReLU(), MaxPool2d(2, 1, (1, 0)), nnkit.GlobalAvgPool2d())
    x = rng.normal(size=(3, 8, 9, 2))
    model.save(tmp_path / "model.safetensors")
    again = nnkit.load(tmp_path / "model.safetensors", backend)
    assert [repr(layer) for layer in again] == [repr(layer) for layer in model]
    assert host(model, again(x)).tobytes() == host(model, model(x)).tobytes()


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (Conv2d(1, 6, 5), "Conv2d(1, 6, 5)"),
        (Conv2d(1, 6, (5, 5), padding=2), "Conv2d(1, 6, 5, padding=2)"),
        (Conv2d(2, 4, (5, 3), (1, 2), 1), "Conv2d(2, 4, (5, 3), stride=(1, 2), padding=1)"),
        (
            Conv2d(2, 4, 3, padding="same", bias=False),
            "Conv2d(2, 4, 3, padding='same', bias=False)",
        ),
        (Conv2d(2, 4, 3, groups=2, dilation=2), "Conv2d(2, 4, 3, groups=2, dilation=2)"),
    ],
)
def test_repr(layer, text):
    assert repr(layer) == text


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (Conv2d(3, 8, 3), (10, 12, 3), (8, 10, 8)),
        (Conv2d(3, 8, 3, padding="same"), (10, 12, 3), (10, 12, 8)),
        (Conv2d(3, 8, (2, 4), padding="same", dilation=3), (10, 12, 3), (10, 12, 8)),
        (Conv2d(3, 8, 3, stride=2, padding=1), (10, 13, 3), (5, 7, 8)),
        (Conv2d(1, 8, (1, 12), dilation=(5, 1)), (10, 12), (10, 1, 8)),
    ],
)
def test_output_shape(layer, shape, expected):
    assert layer.output_shape(shape) == expected


ERRORS = [
    (
        lambda: Conv2d(3, 4, 3, groups=2),
        "Conv2d(3, 4, 3, groups=2): groups must divide in_channels and out_channels, so that each "
        "has as many of both",
    ),
    (
        lambda: Conv2d(4, 3, 3, groups=4),
        "Conv2d(4, 3, 3, groups=4): groups must divide in_channels and out_channels, so that each "
        "has as many of both",
    ),
    (
        lambda: Conv2d(1, 1, 3, stride=2, padding="same"),
        "Conv2d(1, 1, 3, stride=2, padding='same'): padding 'same' goes with stride 1 only; with a "
        "stride give the padding as a number",
    ),
    (
        lambda: Conv2d(1, 1, 3, padding="full"),
        "Conv2d: padding must be an integer of at least 0, a pair of them (height, width), 'same' "
        "or 'valid', not 'full'",
    ),
    (
        lambda: Conv2d(3, 4, 3).output_shape((3, 28, 28)),
        "Conv2d(3, 4, 3) takes (height, width, 3), not shape (3, 28, 28); put ChannelsLast() in "
        "front for shape (3, height, width)",
    ),
    (
        lambda: Conv2d(1, 4, 3).output_shape((784,)),
        "Conv2d(1, 4, 3) takes (height, width, 1), not shape (784,); put Image(28, 28, 1) in front",
    ),
    (
        lambda: Conv2d(1, 4, 3).output_shape((28,)),
        "Conv2d(1, 4, 3) takes (height, width, 1), not shape (28,); put Image(height, width, 1) in "
        "front, or give a single image as x[None]",
    ),
    (
        lambda: Conv2d(3, 4, 3).output_shape((28, 28)),
        "Conv2d(3, 4, 3) takes (height, width, 3), not shape (28, 28)",
    ),
    (
        lambda: Conv2d(1, 4, 5, padding=1, dilation=2).output_shape((6, 7, 1)),
        "Conv2d(1, 4, 5, padding=1, dilation=2): a window of 9 x 9 is larger than the image, "
        "8 x 9 with its padding",
    ),
]


@pytest.mark.parametrize(("call", "message"), ERRORS)
def test_errors(call, message):
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(message)}$"):
        call()


def test_an_image_of_another_size_is_refused_before_anything_is_done():
    model = network("numpy", Conv2d(3, 4, 3), ReLU(), Flatten(), Linear(4 * 36, 2))
    with pytest.raises(ValueError, match=r"takes \(height, width, 3\), not shape \(3, 8, 8\)"):
        model(np.zeros((2, 3, 8, 8)))
