"""Numbers that PyTorch 2.14.1 (CPU, float64) gave for convolution, pooling and upsampling.

Inputs, weights and gradients of the output are whole numbers that `made` makes, so that the results
are exact. PyTorch's arrays were turned from (n, c, height, width) to (n, height, width, c), and its
weights from (out, in, height, width) to (height, width, in, out); each result is in C order.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
import pytest

import nnkit
from nnkit import AvgPool2d, Conv2d, GlobalAvgPool2d, MaxPool2d, Upsample2d


def made(*shape: int, step: int = 5) -> np.ndarray:
    """Whole numbers from -6 to 6: multiples of a step, modulo 13."""
    return ((np.arange(np.prod(shape)) * step) % 13 - 6.0).reshape(shape)


class Fact(NamedTuple):
    """A layer, the shape of an image, and what `torch.nn.functional` made of it."""

    layer: nnkit.Layer
    image: tuple[int, int, int]
    y: str
    dx: str
    dweight: str = ""
    times: int = 1
    """Results were multiplied by that, to be whole."""


CONVOLUTIONS = {
    "stride and padding": Fact(
        Conv2d(2, 2, 3, 2, 1),
        (5, 4, 2),
        "-3 19 80 -25 49 -33 -42 2 4 -27 8 51",
        "0 -9 -36 -42 -12 -9 -6 -3 -12 -19 -18 -21 16 20 24 28 28 30 20 23 -10 -9 -8 -7 -73 -71 "
        "-62 -47 20 20 20 20 30 30 24 23 -8 -9 -10 -11",
        "7 4 5 -7 -55 43 24 -26 -1 9 -39 31 4 19 2 -16 -11 58 38 -11 -17 -15 19 33 6 3 1 -11 8 41 "
        "16 -34 -67 8 6 37",
    ),
    "uneven": Fact(
        Conv2d(1, 2, (2, 3), (1, 2), (0, 1)),
        (4, 6, 1),
        "35 -6 3 -17 -12 24 0 -20 23 -11 -18 4 4 5 30 -18 2 10",
        "24 18 6 -31 -38 -36 6 -25 -20 -38 -20 -19 -20 -38 -20 -25 6 14 -38 -31 6 18 24 33",
        "21 22 8 16 12 12 -47 13 58 -60 10 14",
    ),
    "dilation": Fact(
        Conv2d(1, 2, 2, 2, 1, dilation=2),
        (5, 5, 1),
        "6 -7 23 -25 20 -14 22 -19 35 1 6 14 20 -7 -6 9 -36 7",
        "0 0 0 0 0 0 -11 0 -46 0 0 0 0 0 0 0 -38 0 -21 0 0 0 0 0 0",
        "30 41 -57 45 -62 40 46 -47",
    ),
    "groups": Fact(
        Conv2d(4, 4, 2, groups=2),
        (3, 4, 4),
        "77 -35 -13 -33 -62 -3 60 42 72 42 -62 13 67 41 -20 -19 -20 -44 -12 -9 62 40 35 -38",
        "33 15 6 12 -43 -18 27 -4 -67 -11 25 -1 -35 30 8 -7 -30 -52 6 6 -58 98 15 7 83 -37 18 7 51 "
        "-65 6 16 32 28 -9 -15 6 -32 9 -7 2 -5 14 -10 12 0 28 14",
        "4 66 4 25 35 -47 -6 -12 -15 -9 16 7 -88 34 -46 -4 32 52 39 18 -15 -9 16 7 13 -23 -1 -13 "
        "18 59 28 28",
    ),
    "each channel": Fact(
        Conv2d(3, 6, 2, groups=3),
        (3, 3, 3),
        "54 -27 -14 -7 -29 66 42 -35 -31 58 -12 -4 -21 -12 -13 -7 48 -27 -33 58 48 -33 -13 -6",
        "33 6 -36 14 -20 -19 11 -35 8 -12 0 34 -34 30 73 -1 51 -18 36 -3 -18 36 -35 7 -9 -2 -23",
        "32 8 -22 -38 8 -26 18 -8 25 -32 38 -37 42 -27 -24 45 -32 19 -24 35 -16 12 37 47",
    ),
    "same, even kernel": Fact(
        Conv2d(1, 1, (2, 4), padding="same"),
        (3, 5, 1),
        "43 -52 64 -60 45 54 -122 72 -46 51 24 -55 48 -13 35",
        "12 27 -15 -39 -9 -4 16 -58 -4 -17 -16 -12 4 19 13",
        "35 26 -18 -33 -10 -83 -4 -7",
    ),
    "same, dilation": Fact(
        Conv2d(1, 1, (3, 2), padding="same", dilation=2),
        (4, 4, 1),
        "-2 73 -12 -40 -6 -20 12 14 -1 75 -4 -49 -6 -20 5 17",
        "45 5 -32 -2 56 39 -24 -5 37 2 -36 -4 46 45 -32 -9",
        "12 10 52 -14 26 -51",
    ),
}
"""conv2d, with the bias 0, 1, 2 and so on."""

POOLINGS = {
    "max_pool2d with padding": Fact(
        MaxPool2d(3, 2, 1),
        (5, 6, 1),
        "3 4 6 6 4 5 6 3 5",
        "0 0 -3 0 0 0 0 -6 0 0 -4 0 0 0 0 6 0 0 2 0 2 0 0 5 0 0 0 0 0 0",
    ),
    "max_pool2d, uneven": Fact(
        MaxPool2d((2, 3), (1, 2), (1, 0)),
        (5, 6, 1),
        "4 4 4 5 3 5 6 4 6 4 2 4",
        "0 0 -9 0 0 0 0 6 0 0 -1 0 0 0 0 2 0 0 4 0 0 0 0 0 0 -2 0 0 -4 0",
    ),
    "avg_pool2d with padding": Fact(
        AvgPool2d(3, 2, 1),
        (5, 6, 1),
        "-6 -3 5 1 -9 3 3 -9 -1",
        "-6 -9 -3 -3 0 0 -3 0 3 -1 -4 -4 3 9 6 2 -4 -4 2 10 8 9 1 1 -1 1 2 7 5 5",
        times=9,
    ),
    "avg_pool2d, uneven": Fact(
        AvgPool2d((2, 3), (1, 2), (1, 0)),
        (5, 6, 1),
        "-3 1 -7 1 -9 -1 2 -3 0 -5 -7 -3",
        "-6 -6 -6 0 0 0 6 6 5 -1 -1 0 5 5 3 -2 -2 0 4 4 1 -3 -3 0 3 3 -1 -4 -4 0",
        times=6,
    ),
    "adaptive_avg_pool2d": Fact(GlobalAvgPool2d(), (5, 6, 1), "-7", "-6 " * 30, times=30),
    "interpolate, nearest": Fact(
        Upsample2d((2, 3)),
        (2, 2, 2),
        "-6 -1 -6 -1 -6 -1 4 -4 4 -4 4 -4 -6 -1 -6 -1 -6 -1 4 -4 4 -4 4 -4 1 6 1 6 1 6 -2 3 -2 3 "
        "-2 3 1 6 1 6 1 6 -2 3 -2 3 -2 3",
        "4 -4 -5 0 -6 -1 11 3",
    ),
}
"""avg_pool2d counts the padding, as is its default (count_include_pad)."""

FACTS = CONVOLUTIONS | POOLINGS


def numbers(text: str) -> list[int]:
    return [int(word) for word in text.split()]


def results(model: nnkit.Sequential, *arrays: Any, times: int = 1) -> list[list[float]]:
    return [(model.backend.to_numpy(array) * times).ravel().tolist() for array in arrays]


@pytest.mark.parametrize("name", FACTS)
def test_is_what_pytorch_gave(backend, name):
    fact = FACTS[name]
    layer: Any = copy.deepcopy(fact.layer)
    model = nnkit.Sequential(layer, backend=backend, dtype="float64", seed=0)
    if name in CONVOLUTIONS:
        layer.W.value = made(*layer.W.shape, step=7)
        layer.b.value = np.arange(layer.out_channels)
    y = model(made(1, *fact.image))
    dx = model.backward(made(*y.shape, step=3))
    got = results(model, y, dx, times=fact.times)
    np.testing.assert_allclose(got[0], numbers(fact.y), rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(got[1], numbers(fact.dx), rtol=1e-14, atol=1e-14)
    if name in CONVOLUTIONS:
        assert results(model, layer.W.grad) == [numbers(fact.dweight)]
        assert results(model, layer.b.grad) == results(
            model, made(*y.shape, step=3).sum(axis=(0, 1, 2))
        )
