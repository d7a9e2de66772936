"""The networks of `nnkit.models`: sizes, layers, options, refusals, and that they learn."""

from __future__ import annotations

import math
import re
from inspect import signature
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import nnkit
from nnkit import models
from nnkit.data import load
from nnkit.layers import Conv2d, Linear, Residual
from nnkit.models import MODELS

LEAST = {"lenet": 4, "simple_conv": 6, "deep_conv": 4, "small_vgg": 4, "vgg": 8, "resnet20": 1}
"""Pixels that a side must have."""


def layers(model, kind):
    return [layer for _, layer in model.walk() if isinstance(layer, kind)]


def test_the_table_has_them_all():
    assert set(MODELS) | {"MODELS"} == set(models.__all__)
    for name, make in MODELS.items():
        assert make is getattr(models, name)
        assert make is getattr(nnkit.models, name)


# ------------------------------------------------------------------ sizes


@pytest.mark.parametrize("name", MODELS)
def test_the_docstring_tells_how_many_parameters_there_are(name):
    text = MODELS[name].__doc__
    count, shape = re.search(r"^    ([\d,]+) parameters for \(([\d, ]+)\)", text, re.M).groups()
    image = tuple(map(int, shape.split(",")))
    assert image == signature(MODELS[name]).parameters["image"].default
    assert MODELS[name](seed=0, backend="numpy").n_parameters == int(count.replace(",", ""))
    assert f"sides of {LEAST[name]} pixels at least" in text or LEAST[name] == 1


def test_the_guide_s_table():
    page = (Path(__file__).parents[1] / "docs" / "models.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([\d,]+) \| ([\dx]+) \| (\d+)x\4 \|$", page, re.M)
    assert [name for name, *_ in rows] == [*MODELS]
    for name, count, image, least in rows:
        default = signature(MODELS[name]).parameters["image"].default
        assert tuple(map(int, image.split("x"))) == default
        assert f"{count} parameters for {default}" in MODELS[name].__doc__
        assert int(least) == LEAST[name]


def test_parameters_that_others_have_counted():
    """LeNet-5's by many; the texts' networks' from the shapes that the text gives."""
    assert models.lenet(backend="numpy").n_parameters == 61_706
    simple = 30 * 25 + 30 + 4320 * 100 + 100 + 100 * 10 + 10
    assert models.simple_conv(backend="numpy").n_parameters == simple
    widths = [1, 16, 16, 32, 32, 64, 64]
    deep = sum(9 * a * b + b for a, b in pairwise(widths))
    deep += 1024 * 50 + 50 + 50 * 10 + 10
    assert models.deep_conv(backend="numpy").n_parameters == deep


def test_small_vgg_by_hand():
    """Convolutions without bias, two numbers a channel, 5x5 pixels of 64 channels to 10 classes."""
    widths = [1, 16, 32, 32, 64, 64]
    small = sum(9 * a * b + 2 * b for a, b in pairwise(widths)) + 5 * 5 * 64 * 10 + 10
    assert models.small_vgg(backend="numpy").n_parameters == small
    assert models.small_vgg((8, 8), backend="numpy")[-1].in_features == 2 * 2 * 64


@pytest.mark.parametrize("seed", [0, 7])
def test_no_two_weights_begin_with_the_same_random_numbers(seed):
    model = models.resnet20(backend="numpy", seed=seed)
    again = models.resnet20(backend="numpy", seed=np.int64(seed))
    weights = [p.value.ravel() for _, p in model.named_parameters() if len(p.shape) > 1]
    beginnings = np.array([w[:100] / w[:100].std() for w in weights])
    alike = abs(beginnings @ beginnings.T / 100 - np.eye(len(weights)))
    assert len(weights) == 22
    assert alike.max() < 0.5
    for name, values in model.state().items():
        np.testing.assert_array_equal(again.state()[name], values)


def test_resnet20_has_the_paper_s_size():
    """Table 6 of He et al.: 20 layers, 0.27 million parameters."""
    model = models.resnet20(backend="numpy")
    assert round(model.n_parameters / 1e6, 2) == 0.27
    past = [block.shortcut for block in layers(model, Residual) if block.shortcut is not None]
    assert len(layers(model, Residual)) == 9
    assert [len(layers(shortcut, Conv2d)) for shortcut in past] == [1, 1]
    assert len(layers(model, (Conv2d, Linear))) - len(past) == 20


@pytest.mark.parametrize("image", [(8, 8), (8, 8, 1), (32, 32, 3), (9, 14, 2)])
@pytest.mark.parametrize("name", MODELS)
def test_images_of_any_size_as_they_are_and_as_rows(name, image, rng):
    model = MODELS[name](image, 7, seed=0, backend="numpy")
    x = rng.random((2, *image)).astype(np.float32)
    y = model(x)
    assert y.shape == (2, 7)
    np.testing.assert_array_equal(model(x.reshape(2, -1)), y)
    assert model.input_shape == (*image, 1)[:3]


@pytest.mark.parametrize("name", MODELS)
def test_the_smallest_images(name):
    least = LEAST[name]
    for image in ((least, least), (least, 40), (40, least, 3)):
        assert MODELS[name](image, backend="numpy").out_features == 10
    if least > 1:
        with pytest.raises(ValueError) as raised:
            MODELS[name]((least - 1, 40))
        assert str(raised.value) == (
            f"{name} takes images of at least {least}x{least} pixels, not {least - 1}x40: scale "
            "them up, or take a network without convolutions"
        )


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: models.lenet(28), TypeError,
         "lenet: image is (height, width) or (height, width, channels), not 28"),
        (lambda: models.vgg((3, 32, 32, 1)), TypeError,
         "vgg: image is (height, width) or (height, width, channels), not (3, 32, 32, 1)"),
        (lambda: models.vgg((32, 32, 0)), ValueError,
         "vgg: channels must be an integer of at least 1, not 0"),
        (lambda: models.lenet((28, "28")), TypeError,
         "lenet: width must be an integer of at least 1, not '28'"),
        (lambda: models.resnet20(classes=0), ValueError,
         "resnet20: classes must be an integer of at least 1, not 0"),
        (lambda: models.lenet(pooling="mean"), ValueError,
         "unknown pooling 'mean': choose one of max, average"),
        (lambda: models.lenet(sed=1), TypeError,
         "lenet got an unexpected keyword argument 'sed' (it takes image, classes, activation, "
         "pooling, seed, dtype, backend, fuse): did you mean seed?"),
    ],
)  # fmt: skip
def test_what_is_refused(call, kind, message):
    with pytest.raises(kind, match=f"^{re.escape(message)}$"):
        call()


# ------------------------------------------------------------------ options


@pytest.mark.parametrize("name", MODELS)
def test_one_seed_is_one_network(name):
    def values(seed):
        return MODELS[name]((8, 8), seed=seed, backend="numpy", dtype="float64").state()

    first, same, other = values(1), values(1), values(2)
    assert all(np.array_equal(first[key], same[key]) for key in first)
    drawn = [key for key in first if first[key].ndim > 1]
    assert not any(np.array_equal(first[key], other[key]) for key in drawn)
    assert {array.dtype for key, array in first.items() if key != "counters"} == {np.dtype("f8")}


@pytest.mark.parametrize("name", MODELS)
def test_weights_before_relu_are_he_s(name):
    """Of the largest convolution, whose variance is 2 / fan-in."""
    model = MODELS[name]((8, 8), seed=0, backend="numpy")
    weight = max((layer.W.value for layer in layers(model, Conv2d)), key=np.size)
    fan_in = math.prod(weight.shape[:3])
    assert weight.std() == pytest.approx(math.sqrt(2 / fan_in), rel=0.1)


def test_the_original_lenet():
    model = models.lenet(activation="tanh", pooling="average", backend="numpy")
    kinds = [type(layer).__name__ for layer in model]
    assert kinds == [
        *("Image", "Conv2d", "Tanh", "AvgPool2d", "Conv2d", "Tanh", "AvgPool2d", "Flatten"),
        *("Linear", "Tanh", "Linear", "Tanh", "Linear"),
    ]


def test_the_texts_deep_network():
    model = models.deep_conv(dropout=0.25, backend="numpy")
    widths = [(layer.out_channels, layer.kernel_size[0]) for layer in layers(model, Conv2d)]
    assert widths == [(16, 3), (16, 3), (32, 3), (32, 3), (64, 3), (64, 3)]
    assert [layer.in_features for layer in layers(model, Linear)] == [4 * 4 * 64, 50]
    assert [layer.p for layer in layers(model, nnkit.Dropout)] == [0.25, 0.25]
    assert isinstance(model[-1], nnkit.Dropout)


# ------------------------------------------------------------------ use


@pytest.mark.parametrize(("name", "samples"), [("lenet", 5), ("resnet20", 1)])
def test_gradients(name, samples, rng):
    """One with fused convolutions and pooling, one with shortcuts."""
    model = MODELS[name]((6, 6, 2), 3, seed=0, backend="numpy", dtype="float64")
    x, t = rng.normal(size=(3, 6, 6, 2)), np.array([0, 1, 2])
    checked = nnkit.gradcheck(model, "cross_entropy", x, t, samples=samples)
    assert checked.ok, str(checked)


@pytest.mark.parametrize("name", MODELS)
def test_each_learns_ten_digits(name):
    """Without dropout, which makes it slow."""
    digits, make = load("digits"), MODELS[name]
    options = {"dropout": 0} if "dropout" in signature(make).parameters else {}
    model = make(digits.image_shape, digits.n_classes, seed=0, backend="numpy", **options)
    trainer = nnkit.Trainer(model, "cross_entropy", nnkit.Adam(0.005))
    x, t = digits.x_train[:10], digits.t_train[:10]
    history = trainer.fit(x, t, epochs=8, batch_size=10, progress=False)
    assert history.loss[-1] < history.loss[0] / 2


@pytest.mark.parametrize("name", MODELS)
def test_each_comes_back_from_a_file(name, tmp_path, rng):
    model = MODELS[name]((8, 8), seed=0, backend="numpy")
    model.save(tmp_path / "model.safetensors")
    again, x = nnkit.load(tmp_path / "model.safetensors", "numpy"), rng.random((2, 64))
    np.testing.assert_array_equal(again(x), model(x))


@pytest.mark.parametrize("name", ["lenet", "resnet20"])
def test_a_captured_step_is_the_step(name, backend, small, rng):
    if small and name == "resnet20":
        pytest.skip("it takes minutes on the simulator")
    x, t = rng.random((8, 64)), np.arange(8)
    trained = []
    for compiled in (True, False):
        model = MODELS[name]((8, 8), seed=0, backend=backend)
        trainer = nnkit.Trainer(model, "cross_entropy", nnkit.Adam(0.01))
        trainer.fit(x, t, epochs=2, batch_size=4, compile=compiled, progress=False)
        trained.append(model.state())
    for key, value in trained[0].items():
        np.testing.assert_array_equal(value, trained[1][key], err_msg=key)


def test_channels_first_are_told():
    with pytest.raises(ValueError) as caught:
        models.resnet20((3, 32, 48))
    assert str(caught.value) == (
        "resnet20: image (3, 32, 48) has its channels first: write (32, 48, 3), and give images as "
        "x.transpose(0, 2, 3, 1)"
    )
