"""Convolutions of many geometries, and calls of them: for the tests of both directions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from nnkit.backends import Backend
from nnkit.backends.contract import Window
from nnkit.backends.cupy.lying import FEW
from tests.helpers import random_array
from tests.operations import plain_windows
from tests.operations.shared import quarters


class Case(NamedTuple):
    """A geometry: the image (height, width, channels), the kernels, and what is behind them."""

    image: tuple[int, int, int]
    window: Window
    outputs: int
    groups: int = 1
    pool: Window | None = None
    kind: str = "relu"
    has_bias: bool = True
    n: int = 2
    there: tuple[int, int] | None = None
    """Places, where they are others than `plain_windows.places` has it."""

    @property
    def places(self) -> tuple[int, int]:
        """Of the convolution."""
        return self.there or plain_windows.places(self.image[:2], self.window)

    @property
    def y(self) -> tuple[int, ...]:
        """Shape of the output."""
        places = self.places
        if self.pool is not None:
            places = plain_windows.places(places, self.pool)
        return self.n, *places, self.outputs

    @property
    def weight(self) -> tuple[int, ...]:
        return *self.window.size, self.image[2] // self.groups, self.outputs


HALVES = Window((2, 2), (2, 2))
SAME = Window((3, 3), padding=(1, 1))
CASES = {
    "one channel": Case((7, 9, 1), Window((3, 3)), 4),
    "LeNet": Case((9, 9, 1), Window((5, 5), padding=(2, 2)), 6, pool=HALVES),
    "same": Case((6, 5, 3), SAME, 5),
    "same, even": Case((6, 5, 3), Window((2, 4), padding=(0, 1)), 5, there=(6, 5)),
    "same, even, pooled": Case(
        (7, 6, 2), Window((4, 2), padding=(1, 0)), 3, pool=HALVES, there=(7, 6)
    ),
    "same, spread": Case((6, 7, 2), Window((3, 3), padding=(2, 2), dilation=(2, 2)), 3),
    "strides": Case((9, 8, 3), Window((3, 3), (2, 2), (1, 1)), 4, kind="identity"),
    "uneven": Case((8, 11, 3), Window((3, 2), (2, 3), (1, 0), (2, 1)), 4),
    "stride beyond the kernel": Case((9, 11, 3), Window((2, 2), (3, 4)), 5),
    "strides and padding": Case((7, 7, 2), Window((2, 3), (3, 2), (1, 2)), 3),
    "padding beyond the kernel": Case((3, 4, 2), Window((2, 2), padding=(3, 2)), 3),
    "padding and steps beyond it": Case((2, 3, 2), Window((2, 1), (4, 2), (3, 2)), 3),
    "one by one": Case((5, 4, 7), Window((1, 1)), 9),
    "one by one, apart": Case((5, 6, 7), Window((1, 1), (2, 3)), 4, has_bias=False),
    "whole image": Case((4, 5, 3), Window((4, 5)), 6),
    "one pixel": Case((1, 1, 3), SAME, 2),
    "a line": Case((1, 33, 2), Window((1, 5), padding=(0, 2)), 3),
    "a column": Case((33, 1, 2), Window((5, 1), (2, 1), (2, 0)), 3),
    "one image": Case((6, 6, 3), SAME, 4, pool=HALVES, n=1),
    "no images": Case((6, 6, 3), SAME, 4, n=0),
    "no images, pooled": Case((6, 6, 3), SAME, 4, pool=HALVES, n=0),
    "two groups": Case((6, 5, 6), SAME, 4, groups=2, pool=HALVES),
    "three groups": Case((6, 5, 6), Window((3, 2), (2, 1)), 9, groups=3, has_bias=False),
    "each channel": Case((6, 7, 5), SAME, 5, groups=5),
    "each channel, apart": Case((7, 7, 5), Window((3, 3), (2, 2), (1, 1)), 5, groups=5),
    "each channel twice": Case((6, 7, 5), SAME, 10, groups=5, pool=HALVES, kind="identity"),
    "each channel, spread": Case(
        (9, 8, 20), Window((3, 3), padding=(2, 2), dilation=(2, 2)), 20, groups=20
    ),
    "no bias": Case((5, 6, 3), SAME, 4, kind="identity", has_bias=False),
    "no bias, pooled": Case((5, 6, 3), SAME, 4, pool=HALVES, has_bias=False),
    "pool with rows left over": Case((8, 9, 2), Window((2, 2)), 3, pool=Window((2, 3), (2, 3))),
    "pool with gaps": Case((9, 9, 2), SAME, 3, pool=Window((2, 2), (3, 4))),
    "pool of all": Case((6, 6, 2), Window((3, 3)), 3, pool=Window((4, 4), (4, 4))),
    "pool of one": Case((4, 5, 2), SAME, 3, pool=Window((1, 1))),
    "pool after strides": Case((11, 9, 3), Window((3, 3), (2, 1), (1, 1)), 4, pool=HALVES),
    "many channels": Case((5, 4, 70), SAME, 130, n=1),
    "many channels, pooled": Case((4, 6, 70), SAME, 130, pool=HALVES, kind="identity", n=1),
    "many channels in groups": Case((4, 4, 70), SAME, 130, groups=2, n=1),
    "many images": Case((6, 6, 3), SAME, 7, pool=HALVES, n=40),
    "tiles": Case((6, 8, 16), SAME, 16, kind="identity", n=5),
    "tiles at the edge": Case((7, 9, 16), SAME, 32, n=3),
    "tiles without a border": Case((10, 11, 32), Window((3, 3)), 16, has_bias=False),
    "tiles in a wide border": Case((8, 7, 16), Window((3, 3), padding=(2, 3)), 16),
    "tiles, pooled": Case((8, 6, 16), SAME, 48, pool=HALVES),
    "tiles, pooled, left over": Case((9, 7, 32), SAME, 16, pool=HALVES, kind="identity"),
    "tiles of many images": Case((6, 6, 16), SAME, 16, n=60),
    "tiles, pool of one": Case((6, 7, 16), SAME, 16, pool=Window((1, 1))),
    "tiles in several parts": Case((36, 36, 16), SAME, 16, n=3),
    "tiles of several groups": Case((8, 8, 64), SAME, 64, n=5),
    "each channel, pool of one": Case((6, 7, 5), SAME, 5, groups=5, pool=Window((1, 1))),
    "no tiles": Case((6, 6, 16), SAME, 16, n=0),
}
BATCHES = ["same", "LeNet", "uneven", "two groups", "each channel", "many channels", "many images"]
BATCHES += ["tiles", "tiles at the edge", "tiles, pooled"]
"""Cases for comparing an image alone with the same among others."""


def by_blas(backend: Backend, case: Case, gradient: bool = False) -> bool:
    """Whether BLAS multiplies, which takes another order for another number of rows."""
    few = case.image[2] <= FEW * case.groups and (case.groups > 1 or not gradient)
    return backend.name == "numpy" or (backend.name == "cupy" and not few)


every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def given(case: Case, rng: np.random.Generator, make: Any = quarters) -> dict[str, np.ndarray]:
    bias = {"bias": make(rng, case.outputs)} if case.has_bias else {}
    return {"x": make(rng, case.n, *case.image), "weight": make(rng, *case.weight), **bias}


def chosen(case: Case) -> dict[str, np.ndarray]:
    return {} if case.pool is None else {"place": np.full(case.y, 7, np.uint8)}


def forward(case: Case) -> Any:
    def run(b: Backend, v: Any) -> None:
        own = case.window, case.groups, case.pool
        bias, place = getattr(v, "bias", None), getattr(v, "place", None)
        b.convolution(case.kind, v.x, v.weight, bias, *own, v.y, place)

    return run


def backward(case: Case, wanted: str = "dweight dbias dx") -> Any:
    def run(b: Backend, v: Any) -> None:
        own = case.window, case.groups, case.pool
        gradients = (
            getattr(v, name) if name in wanted else None for name in ("dweight", "dbias", "dx")
        )
        place = getattr(v, "place", None)
        b.convolution_backward(case.kind, v.dy, v.x, v.weight, *own, v.y, place, *gradients)

    return run


def gradient_inputs(case: Case, rng: np.random.Generator, make: Any = quarters) -> dict[str, Any]:
    """Inputs of the backward pass; places are of any in the window, y is positive or not."""
    inputs = given(case, rng, make)
    inputs.pop("bias", None)
    inputs |= {"dy": make(rng, *case.y), "y": make(rng, *case.y)}
    if case.pool is not None:
        most = case.pool.size[0] * case.pool.size[1]
        inputs["place"] = rng.integers(0, most, case.y).astype(np.uint8)
    return inputs


def shapes(case: Case) -> dict[str, Any]:
    return {"dweight": case.weight, "dbias": (case.outputs,), "dx": (case.n, *case.image)}


def rounded(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Make random numbers whose sums are rounded."""
    return random_array(rng, shape)
