"""Neighbours that do not fit are refused when a model is made, though no size is known yet."""

from __future__ import annotations

import copy

import pytest

import nnkit
from nnkit import (
    BatchNorm2d,
    Concat,
    Conv2d,
    ConvTranspose2d,
    Dropout2d,
    Flatten,
    GlobalAvgPool2d,
    Identity,
    LayerNorm,
    Linear,
    MaxPool2d,
    PReLU,
    ReLU,
    Residual,
    Sequential,
    Upsample2d,
)
from nnkit.layers.shapes import HEIGHT, NUMBERS, WIDTH, is_open


def one(channels_in, channels_out):
    return Conv2d(channels_in, channels_out, 3, padding=1)


GIVES = " (layer 0, Conv2d(1, 8, 3), gives shape (height, width, 8))"


@pytest.mark.parametrize(
    ("behind", "message"),
    [
        (
            [ReLU(), Conv2d(16, 8, 3)],
            "layer 2: Conv2d(16, 8, 3) takes (height, width, 16), not shape (height, width, 8); "
            "write Conv2d(8, ...)" + GIVES,
        ),
        (
            [Conv2d(1, 8, 3)],
            "layer 1: Conv2d(1, 8, 3) takes (height, width, 1), not shape (height, width, 8); "
            "write Conv2d(8, ...)" + GIVES,
        ),
        (
            [ReLU(), Dropout2d(), ConvTranspose2d(4, 2, 2, 2)],
            "layer 3: ConvTranspose2d(4, 2, 2, stride=2) takes (height, width, 4), not shape "
            "(height, width, 8); write ConvTranspose2d(8, ...) (layer 2, Dropout2d(p=0.5), gives "
            "shape (height, width, 8))",
        ),
        (
            [BatchNorm2d(16)],
            "layer 1: BatchNorm2d(num_features=16, eps=1e-05, momentum=0.1, sync=True) takes "
            "(height, width, 16), not shape (height, width, 8); write BatchNorm2d(8)" + GIVES,
        ),
        (
            [PReLU(16)],
            "layer 1: PReLU(features=16, alpha=0.25) takes rows or pixels of 16 numbers, not of "
            "shape (height, width, 8); write PReLU(8), or PReLU() for one slope" + GIVES,
        ),
        (
            ["relu", Linear(8, 3)],
            "layer 2: Linear(in_features=8, out_features=3, bias=True) takes rows of 8 numbers, "
            "not of shape (height, width, 8); put Flatten() in front of it" + GIVES,
        ),
        (
            [LayerNorm(8)],
            "layer 1: LayerNorm(num_features=8, eps=1e-05) takes rows of 8 numbers, not of shape "
            "(height, width, 8); put Flatten() in front of it" + GIVES,
        ),
        (
            [MaxPool2d(2), GlobalAvgPool2d(), Linear(16, 3)],
            "layer 3: Linear(in_features=16, out_features=3, bias=True) takes rows of 16 numbers, "
            "not of shape (8,); write Linear(8, 3) (layer 2, GlobalAvgPool2d(), gives shape (8,))",
        ),
        (
            [Flatten(), Conv2d(8, 4, 3)],
            "layer 2: Conv2d(8, 4, 3) takes (height, width, 8), not shape (numbers,); put "
            "Image(height, width, 8) in front (layer 1, Flatten(), gives shape (numbers,))",
        ),
        (
            [Residual(one(8, 8), ReLU(), one(16, 8))],
            "layer 1.2: Conv2d(16, 8, 3, padding=1) takes (height, width, 16), not shape (height, "
            "width, 8); write Conv2d(8, ...) (layer 1.0, Conv2d(8, 8, 3, padding=1), gives shape "
            "(height, width, 8))",
        ),
        (
            [Residual(one(8, 16))],
            "layer 1: Residual(Conv2d(8, 16, 3, padding=1)) cannot add x of shape (height, width, "
            "8) to f(x) of shape (height, width, 16): give it a shortcut= layer from the one to "
            "the other, such as Conv2d(8, 16, 1), with the stride that f has" + GIVES,
        ),
        (
            [Residual(one(8, 16), shortcut=Conv2d(4, 16, 1))],
            "layer 1.shortcut: Conv2d(4, 16, 1) takes (height, width, 4), not shape (height, "
            "width, 8); write Conv2d(8, ...)" + GIVES,
        ),
        (
            [Concat(one(8, 16), Identity()), one(16, 2)],
            "layer 2: Conv2d(16, 2, 3, padding=1) takes (height, width, 16), not shape (height, "
            "width, 24); write Conv2d(24, ...) (layer 1, Concat, gives shape (height, width, 24))",
        ),
    ],
)
def test_layers_behind_a_convolution(behind, message):
    with nnkit.use_backend("numpy"), pytest.raises(ValueError) as caught:
        Sequential(Conv2d(1, 8, 3), *copy.deepcopy(behind))
    assert str(caught.value) == message


def test_layers_of_rows():
    with pytest.raises(ValueError) as caught:
        Sequential(Linear(3, 4), ReLU(), Linear(5, 6), backend="numpy")
    assert str(caught.value) == (
        "layer 2: Linear(in_features=5, out_features=6, bias=True) takes rows of 5 numbers, not of "
        "shape (4,); write Linear(4, 6) (layer 0, Linear(in_features=3, out_features=4, bias=True),"
        " gives shape (4,))"
    )


def test_a_change_that_does_not_fit_is_not_made():
    model = Sequential(one(1, 8), one(8, 4), backend="numpy")
    with pytest.raises(ValueError, match="layer 1: Conv2d"):
        model[0] = one(1, 16)
    assert repr(model[0]) == "Conv2d(1, 8, 3, padding=1)"


def test_inside_a_residual_of_which_nothing_is_known():
    with pytest.raises(ValueError, match=r"^layer 0\.2: .* \(layer 0\.1, Conv2d\(8, 8, 3, padding"):
        Sequential(Residual(ReLU(), one(8, 8), one(16, 8)), backend="numpy")


def test_what_fits():
    """With one channel an image may be without an axis for it, and slopes be those of columns."""
    layers = BatchNorm2d(1), PReLU(28), one(1, 8), Upsample2d(2), MaxPool2d(2), one(8, 1)
    Sequential(*layers, backend="numpy")
    Sequential(one(3, 8), MaxPool2d(2), Flatten(), Linear(72, 10), backend="numpy")


def test_layers_of_others_end_the_check():
    """They may do anything with a size that is no number; one that changes no shape keeps it."""

    class Doubled(nnkit.Layer):
        def output_shape(self, shape):
            if shape[0] == 3:
                raise ValueError("no images of 3 rows")
            return (*shape[:2], [2, 4, 6, 8][shape[2] - 1])

    class Kept(nnkit.Layer):
        pass

    Sequential(one(1, 3), Doubled(), one(6, 2), backend="numpy")
    with pytest.raises(ValueError, match=r"that f has$"):  # and not whose the shape is
        Sequential(one(1, 3), Doubled(), Residual(one(6, 2)), backend="numpy")
    with pytest.raises(ValueError, match=r"layer 2: Conv2d\(6, 2"):
        Sequential(one(1, 3), Kept(), one(6, 2), backend="numpy")


@pytest.mark.parametrize("name", nnkit.models.MODELS)
def test_what_is_known_is_what_comes(name):
    """All shapes of the models, with the image's size known and not."""
    model = nnkit.models.MODELS[name]((32, 32, 3), 10, backend="numpy", seed=0)[1:]
    known = [shape for *_, shape in model.shapes((32, 32, 3))]
    opened = [shape for *_, shape in model.shapes(None)]
    assert len(known) == len(opened)
    assert opened == known
    assert any(map(is_open, opened))


def test_open_sizes():
    assert str((HEIGHT * 2 // 3 - 1, -(-WIDTH // 2), 1 + HEIGHT)) == "(height, width, height)"
    assert (1 * HEIGHT * WIDTH) is NUMBERS
    assert HEIGHT == 5 == WIDTH
    assert not (HEIGHT != 5 or HEIGHT < 5 or HEIGHT > 5)
    assert HEIGHT != "5"
