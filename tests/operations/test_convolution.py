"""Convolution, its activation and its pooling, and their gradients, against plain loops."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from nnkit.backends import Backend
from nnkit.backends.contract import Window
from nnkit.kernels.table import ACTIVATIONS
from tests.helpers import random_array
from tests.operations import plain_windows
from tests.operations.shared import ALPHA, quarters


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
}
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


def plain(case: Case, x: Any, weight: Any, bias: Any = 0) -> Any:
    """Output of the convolution, before the pooling."""
    own = case.window, case.groups, case.places
    z = plain_windows.convolution(x, weight, *own) + bias
    return np.maximum(z, 0) if case.kind == "relu" else z


@every_case
def test_convolution(check, rng, case):
    """Of numbers whose sums are exact."""
    inputs = given(case, rng)
    got = check(forward(case), inputs, {"y": case.y, **chosen(case)}, ulps=0)
    want = plain(case, **inputs)
    if case.pool is not None:
        want, number = plain_windows.max_pool(want, case.pool, case.y[1:3])
        assert np.array_equal(got["place"], number)
    assert np.array_equal(got["y"], want)


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


@every_case
def test_convolution_backward(check, rng, case):
    inputs = gradient_inputs(case, rng)
    got = check(backward(case), inputs, shapes(case), ulps=0)
    dz = np.where(inputs["y"] > 0, inputs["dy"], 0) if case.kind == "relu" else inputs["dy"]
    if case.pool is not None:
        shape = case.n, *case.places, case.outputs
        dz = plain_windows.max_pool_backward(dz, inputs["place"], case.pool, shape)
    own = inputs["x"], inputs["weight"], case.window, case.groups
    want = plain_windows.convolution_backward(dz, *own)
    for name, value in zip(("dweight", "dbias", "dx"), want, strict=True):
        assert np.array_equal(got[name], value), name


@pytest.mark.parametrize("wanted", ["dweight", "dbias", "dx", "dweight dx", "dbias dx"])
@pytest.mark.parametrize("name", ["same", "LeNet", "two groups", "each channel", "uneven"])
def test_gradients_that_are_wanted(check, rng, name, wanted):
    """One alone is what it is among others."""
    case = CASES[name]
    inputs = gradient_inputs(case, rng)
    whole = check(backward(case), inputs, shapes(case), ulps=0)
    outputs = {name: shape for name, shape in shapes(case).items() if name in wanted.split()}
    some = check(backward(case, wanted), inputs, outputs, ulps=0)
    for output, value in some.items():
        assert value.tobytes() == whole[output].tobytes()


@every_case
def test_random_numbers(check, rng, case):
    """Sums that are rounded, which a second run rounds alike."""
    inputs = given(case, rng, lambda rng, *shape: random_array(rng, shape))
    terms, places = int(np.prod(case.weight[:3])), max(1, case.n * int(np.prod(case.places)))
    if case.pool is None:  # with one, a number may be the largest by its rounding alone
        check(forward(case), inputs, {"y": case.y}, ulps=8, scale=terms)
    gradients = gradient_inputs(case, rng, lambda rng, *shape: random_array(rng, shape))
    scale = {"dweight": places, "dbias": places, "dx": terms * case.outputs}
    check(backward(case), gradients, shapes(case), ulps=8, scale=scale)


@pytest.mark.parametrize("pool", [None, HALVES])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["x", "weight", "bias"])
@pytest.mark.parametrize("kind", ["identity", "relu"])
def test_convolution_at_extremes(check, rng, pool, value, where, kind):
    """What is no finite number goes where the formula has it."""
    case = Case((6, 5, 3), SAME, 4, pool=pool, kind=kind)
    inputs = given(case, rng)
    inputs[where].flat[inputs[where].size // 2] = value
    with np.errstate(invalid="ignore"):
        check(forward(case), inputs, {"y": case.y, **chosen(case)}, ulps=0)


@pytest.mark.parametrize("pool", [None, HALVES])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["x", "weight", "dy", "y"])
def test_convolution_backward_at_extremes(check, rng, pool, value, where):
    case = Case((6, 5, 3), SAME, 4, pool=pool)
    inputs = gradient_inputs(case, rng)
    inputs[where].flat[inputs[where].size // 2] = value
    with np.errstate(invalid="ignore"):
        check(backward(case), inputs, shapes(case), ulps=0)


def test_a_pooled_nan_is_the_largest(check):
    """In a window with NaN, its place is that of the first."""
    x = np.arange(16.0).reshape(1, 4, 4, 1)
    x[0, 0, 1] = x[0, 1, 0] = np.nan
    case = Case((4, 4, 1), Window((1, 1)), 1, pool=HALVES, has_bias=False, n=1)
    inputs = {"x": x, "weight": np.ones(case.weight)}
    got = check(forward(case), inputs, {"y": case.y, **chosen(case)}, ulps=0)
    assert np.array_equal(got["y"].ravel(), [np.nan, 7, 13, 15], equal_nan=True)
    assert got["place"].ravel().tolist() == [1, 3, 3, 3]


def test_the_first_of_equals_is_pooled(check):
    """Where ReLU has made all of a window zero, too."""
    case = Case((4, 6, 1), Window((1, 1)), 2, pool=HALVES, has_bias=False, n=1)
    inputs = {"x": np.full((1, 4, 6, 1), -2.0), "weight": np.array([1.0, -1]).reshape(case.weight)}
    got = check(forward(case), inputs, {"y": case.y, **chosen(case)}, ulps=0)
    assert (got["y"] == [0, 2]).all()
    assert (got["place"] == 0).all()


BATCHES = ["same", "LeNet", "uneven", "two groups", "each channel", "many channels", "many images"]


@pytest.mark.parametrize("name", BATCHES)
def test_bits_do_not_depend_on_the_batch(backend, dtype, rng, name):
    """An image alone, and among others, gives the same output and the same gradient."""
    if backend.name == "numpy":
        pytest.skip("BLAS takes another order for another number of rows")
    case = CASES[name]._replace(n=5)
    inputs = gradient_inputs(case, rng, lambda rng, *shape: random_array(rng, shape))
    inputs["bias"] = random_array(rng, case.outputs)
    inputs = {k: v if k == "place" else v.astype(dtype) for k, v in inputs.items()}

    def of(first: int, last: int) -> list[np.ndarray]:
        part = {k: v if k in ("weight", "bias") else v[first:last] for k, v in inputs.items()}
        a = {name: backend.asarray(array.copy()) for name, array in part.items()}
        y, dx = backend.empty(a["y"].shape, dtype), backend.empty(a["x"].shape, dtype)
        place = backend.empty(y.shape, np.uint8) if "place" in a else None
        own = case.window, case.groups, case.pool
        backend.convolution(case.kind, a["x"], a["weight"], a["bias"], *own, y, place)
        given = a["dy"], a["x"], a["weight"], *own, a["y"], a.get("place")
        backend.convolution_backward(case.kind, *given, None, None, dx)
        return [backend.to_numpy(array) for array in (y, dx)]

    whole = of(0, 5)
    for i in range(5):
        for among, alone in zip(whole, of(i, i + 1), strict=True):
            assert among[i].tobytes() == alone[0].tobytes()


@pytest.mark.parametrize("kind", ["identity", "relu", "tanh", "gelu", "leaky_relu"])
@pytest.mark.parametrize("has_bias", [True, False])
def test_convolution_forward(check, rng, kind, has_bias):
    """With any activation: z is kept where the gradient needs it, and is scratch elsewhere."""
    case = Case((5, 4, 3), SAME, 4, has_bias=has_bias)
    saved = ACTIVATIONS[kind].saved

    def run(b: Backend, v: Any) -> None:
        bias, z = getattr(v, "bias", None), v.y if saved == "y" else v.z
        own = case.window, case.groups
        b.convolution_forward(kind, v.x, v.weight, bias, *own, v.y, z, ALPHA)

    inputs = given(case, rng, lambda rng, *shape: random_array(rng, shape))
    outputs = {"y": case.y} | ({"z": case.y} if saved == "x" else {})
    check(run, inputs, outputs, scale=27)
