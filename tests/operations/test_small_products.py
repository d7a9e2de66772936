"""Products of every size and layout that a GPU's kernel of small products meets."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers import Check, place, random_array
from tests.operations.samples import linear
from tests.operations.shared import name, quarters

SIZES = [
    *((n, 33, m) for n in (1, 7, 33) for m in (1, 7, 33)),
    *((5, depth, 20) for depth in (1, 2, 15, 17, 129, 640, 2000)),
    *((8, 784, 100), (784, 8, 10), (16, 512, 16), (1200, 3, 130)),
]
"""Rows, depth and columns: edges of tiles, of slices and packs, and shared tiles."""


@pytest.mark.parametrize("size", SIZES, ids=name)
def test_products_of_a_linear_layer(backend, dtype, size):
    """Forward and backward, with bias and ReLU, and the sums of the gradient."""
    for run, inputs, outputs in linear(*size).values():
        Check(backend, dtype)(run, inputs, outputs, ulps=24, scale=sum(size))


@pytest.mark.parametrize(
    "layouts",
    [
        ("transposed", "contiguous"),
        ("contiguous", "transposed"),
        ("transposed", "transposed"),
        ("offset", "offset"),
        ("rows", "columns"),
    ],
    ids="-".join,
)
@pytest.mark.parametrize("size", [(7, 33, 20), (32, 64, 48), (33, 600, 2)], ids=name)
def test_layouts_make_no_difference(backend, dtype, rng, size, layouts):
    """Sums of quarters are exact in any order."""
    n, k, m = size
    a, b = quarters(rng, n, k).astype(dtype), quarters(rng, k, m).astype(dtype)
    views = (place(backend, x, layout) for x, layout in zip((a, b), layouts, strict=True))
    want = (a.astype(float) @ b.astype(float)).astype(dtype)
    np.testing.assert_array_equal(backend.to_numpy(backend.matmul(*views)), want)


@pytest.mark.parametrize("depth", [20, 600])
def test_nan_and_infinity_go_where_they_belong(backend, dtype, depth):
    a, b = np.ones((9, depth), dtype), np.ones((depth, 40), dtype)
    a[3, 4], b[7, 11], b[9, 12], a[5, 9] = np.nan, np.inf, -np.inf, 0
    bias = np.zeros(40, dtype)
    bias[20] = np.nan
    arrays = [backend.asarray(x) for x in (a, b, bias)]
    y = backend.empty((9, 40), dtype)
    with np.errstate(invalid="ignore"):
        backend.linear_forward("relu", *arrays, y, y)
        want = np.maximum(a.astype(float) @ b.astype(float) + bias.astype(float), 0).astype(dtype)
    np.testing.assert_array_equal(backend.to_numpy(y).astype(float), want.astype(float))
    assert np.isnan(want[5, 12]) and want[0, 12] == 0


def test_two_runs_give_the_same_bits(backend, dtype, rng):
    for n, k, m in ((8, 784, 30), (70, 20, 50)):
        a, b = (backend.asarray(random_array(rng, s, dtype)) for s in ((n, k), (k, m)))
        bits = {backend.to_numpy(backend.matmul(a, b)).tobytes() for _ in range(3)}
        assert len(bits) == 1
