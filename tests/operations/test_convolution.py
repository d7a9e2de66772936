"""Convolution, its activation and its pooling, against plain loops."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from nnkit.backends import Backend
from nnkit.backends.contract import Window
from nnkit.kernels.table import ACTIVATIONS
from tests.operations import plain_windows
from tests.operations.convolutions import (
    BATCHES,
    CASES,
    HALVES,
    SAME,
    Case,
    by_blas,
    chosen,
    every_case,
    forward,
    given,
    rounded,
)
from tests.operations.shared import ALPHA


def plain(case: Case, x: Any, weight: Any, bias: Any = 0) -> dict[str, Any]:
    """The output and, with a pooling, the places of the largest products."""
    found = {"y": plain_windows.convolution(x, weight, case.window, case.groups, case.places)}
    if case.pool is not None:
        largest, number = plain_windows.max_pool(found["y"], case.pool, case.y[1:3])
        found = {"y": largest, "place": number}
    found["y"] = found["y"] + bias
    return found if case.kind != "relu" else found | {"y": np.maximum(found["y"], 0)}


@cache
def solved(case: Case) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs whose sums are exact, and what comes of them: once for all backends and dtypes."""
    inputs = given(case, np.random.default_rng(1234))
    return inputs, plain(case, **inputs)


@every_case
def test_convolution(check, case):
    inputs, want = solved(case)
    got = check(forward(case), inputs, {"y": case.y, **chosen(case)}, ulps=0)
    for name, value in want.items():
        assert np.array_equal(got[name], value), name


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.pool is None])
def test_random_numbers(check, rng, name):
    """Sums that are rounded, which a second run rounds alike.

    Not with a pooling, where a number may be the largest by its rounding alone.
    """
    case = CASES[name]
    terms = int(np.prod(case.weight[:3]))
    check(forward(case), given(case, rng, rounded), {"y": case.y}, ulps=8, scale=terms)


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


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_stays_in_the_tiles_that_see_it(backend, dtype, rng, value):
    """Minimal filtering spreads it, from the places that see it to their neighbours only."""
    case = Case((10, 10, 16), SAME, 16, kind="identity", n=1)
    inputs = {name: array.astype(dtype) for name, array in given(case, rng).items()}
    inputs["x"][0, 3, 6, 5] = value
    y = backend.empty(case.y, dtype)
    own = case.window, case.groups, case.pool
    arrays = (backend.asarray(inputs[name]) for name in ("x", "weight", "bias"))
    with np.errstate(invalid="ignore"):
        backend.convolution(case.kind, *arrays, *own, y, None)
    lost = ~np.isfinite(backend.to_numpy(y)).all(axis=(0, 3))
    assert lost[2:5, 5:8].all()
    lost[2:6, 4:8] = False
    assert not lost.any()


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
    case = Case((4, 6, 1), Window((1, 1)), 2, pool=HALVES, has_bias=False, n=1)
    inputs = {"x": np.full((1, 4, 6, 1), -2.0), "weight": np.array([1.0, -1]).reshape(case.weight)}
    got = check(forward(case), inputs, {"y": case.y, **chosen(case)}, ulps=0)
    assert (got["y"] == [0, 2]).all()
    assert (got["place"] == 0).all()


def test_the_largest_product_is_pooled_before_bias_and_activation(check):
    """Where ReLU makes all of a window zero, too, and where a bias is infinite."""
    case = Case((2, 4, 1), Window((1, 1)), 1, pool=HALVES, n=1)
    x = np.array([[-4.0, -3, 1, 2], [-1, -2, 8, 4]]).reshape(1, 2, 4, 1)
    for bias, expected in ((0.0, [0, 8]), (1, [0, 9]), (-9, [0, 0]), (np.inf, [np.inf] * 2)):
        inputs = {"x": x, "weight": np.ones(case.weight), "bias": np.array([bias], float)}
        got = check(forward(case), inputs, {"y": case.y, **chosen(case)}, ulps=0)
        assert got["y"].ravel().tolist() == expected
        assert got["place"].ravel().tolist() == [2, 2]


@pytest.mark.parametrize("name", BATCHES)
def test_bits_do_not_depend_on_the_batch(backend, dtype, rng, name):
    """An image alone, and among others, gives the same."""
    if by_blas(backend, CASES[name]):
        pytest.skip("BLAS takes another order for another number of rows")
    case = CASES[name]._replace(n=5)
    inputs = {name: value.astype(dtype) for name, value in given(case, rng, rounded).items()}
    weight, bias = backend.asarray(inputs["weight"]), backend.asarray(inputs["bias"])

    def of(images: slice) -> np.ndarray:
        x = backend.asarray(inputs["x"][images].copy())
        y = backend.empty((len(x), *case.y[1:]), dtype)
        place = None if case.pool is None else backend.empty(y.shape, np.uint8)
        own = case.window, case.groups, case.pool
        backend.convolution(case.kind, x, weight, bias, *own, y, place)
        return backend.to_numpy(y)

    whole = of(slice(None))
    for i in range(5):
        assert whole[i].tobytes() == of(slice(i, i + 1))[0].tobytes()


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

    inputs = given(case, rng, rounded)
    outputs = {"y": case.y} | ({"z": case.y} if saved == "x" else {})
    check(run, inputs, outputs, scale=27)
