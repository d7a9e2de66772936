"""The gradients of a convolution with its activation and its pooling, against plain loops."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from tests.operations import plain_windows
from tests.operations.convolutions import (
    BATCHES,
    CASES,
    HALVES,
    SAME,
    Case,
    backward,
    by_blas,
    every_case,
    gradient_inputs,
    rounded,
    shapes,
)


@cache
def solved(case: Case) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs whose sums are exact, and their gradients: once for all backends and dtypes."""
    inputs = gradient_inputs(case, np.random.default_rng(1234))
    dz = np.where(inputs["y"] > 0, inputs["dy"], 0) if case.kind == "relu" else inputs["dy"]
    if case.pool is not None:
        shape = case.n, *case.places, case.outputs
        dz = plain_windows.max_pool_backward(dz, inputs["place"], case.pool, shape)
    own = inputs["x"], inputs["weight"], case.window, case.groups
    gradients = plain_windows.convolution_backward(dz, *own)
    return inputs, dict(zip(("dweight", "dbias", "dx"), gradients, strict=True))


@every_case
def test_convolution_backward(check, case):
    inputs, want = solved(case)
    got = check(backward(case), inputs, shapes(case), ulps=0)
    for name, value in want.items():
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
    terms, places = int(np.prod(case.weight[:3])), max(1, case.n * int(np.prod(case.places)))
    scale = {"dweight": places, "dbias": places, "dx": terms * case.outputs}
    check(backward(case), gradient_inputs(case, rng, rounded), shapes(case), ulps=8, scale=scale)


WHERE = [(where, pool) for where in ("weight", "dy", "y") for pool in (None, HALVES)]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(("where", "pool"), [("x", None), *WHERE])
def test_convolution_backward_at_extremes(check, rng, pool, value, where):
    case = Case((6, 5, 3), SAME, 4, pool=pool)
    inputs = gradient_inputs(case, rng)
    inputs[where].flat[inputs[where].size // 2] = value
    with np.errstate(invalid="ignore"):
        check(backward(case), inputs, shapes(case), ulps=0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_pixel_counts_where_places_that_see_it_were_chosen(backend, dtype, rng, value):
    """With places that were not, its product is with zero, which backends may leave out."""
    case = Case((6, 5, 3), SAME, 4, pool=HALVES, kind="identity")
    inputs = gradient_inputs(case, rng)
    inputs["dy"] = np.ones(case.y)
    inputs["x"][1, 2, 3, 1] = value
    dz = plain_windows.max_pool_backward(
        *(inputs["dy"], inputs["place"], HALVES, (case.n, *case.places, case.outputs))
    )
    seen = (~np.isfinite(inputs["x"])).astype(float)
    by_chosen, by_any = (
        plain_windows.convolution_backward(d, seen, inputs["weight"], SAME, 1)[0] > 0
        for d in (dz, np.ones_like(dz))
    )
    arrays = {
        name: backend.asarray(array if name == "place" else array.astype(dtype))
        for name, array in inputs.items()
    }
    dweight = backend.empty(case.weight, dtype)
    own = case.window, case.groups, case.pool, arrays["y"], arrays["place"]
    with np.errstate(invalid="ignore"):
        backend.convolution_backward(
            case.kind, *(arrays[n] for n in ("dy", "x", "weight")), *own, dweight, None, None
        )
    lost = ~np.isfinite(backend.to_numpy(dweight))
    assert lost[by_chosen].all()
    assert not lost[~by_any].any()


@pytest.mark.parametrize("name", BATCHES)
def test_bits_do_not_depend_on_the_batch(backend, dtype, rng, name):
    """An image's gradient is the same alone and among others."""
    if by_blas(backend, CASES[name], gradient=True):
        pytest.skip("BLAS takes another order for another number of rows")
    case = CASES[name]._replace(n=5)
    inputs = gradient_inputs(case, rng, rounded)
    inputs = {k: v if k == "place" else v.astype(dtype) for k, v in inputs.items()}

    def of(images: slice) -> np.ndarray:
        a = {k: v if k == "weight" else v[images].copy() for k, v in inputs.items()}
        a = {name: backend.asarray(array) for name, array in a.items()}
        dx = backend.empty(a["x"].shape, dtype)
        own = case.window, case.groups, case.pool, a["y"], a.get("place")
        backend.convolution_backward(case.kind, a["dy"], a["x"], a["weight"], *own, None, None, dx)
        return backend.to_numpy(dx)

    whole = of(slice(None))
    for i in range(5):
        assert whole[i].tobytes() == of(slice(i, i + 1))[0].tobytes()
