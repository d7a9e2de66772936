"""What joins the branches of a network: sums, and columns side by side."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers import random_array
from tests.operations.shared import EXTREMES, SHAPES, name


def test_add(check, shape, rng):
    inputs = {"a": random_array(rng, shape), "b": random_array(rng, shape)}
    check(lambda b, v: b.add(v.a, v.b, v.out), inputs, {"out": shape}, ulps=1)


def test_add_in_place(check, shape, rng):
    x, out = random_array(rng, (2, *shape))
    for call in (lambda b, v: b.add(v.out, v.x, v.out), lambda b, v: b.add(v.x, v.out, v.out)):
        check(call, {"x": x}, {"out": out}, ulps=1)
    check(lambda b, v: b.add(v.out, v.out, v.out), {}, {"out": out}, ulps=0)


@pytest.mark.parametrize("shape", [(5,), (4, 3, 7), (2, 3, 4, 8), (2, 0, 3)])
def test_add_of_any_shape(check, rng, shape):
    inputs = {"a": random_array(rng, shape), "b": random_array(rng, shape)}
    check(lambda b, v: b.add(v.a, v.b, v.out), inputs, {"out": shape}, ulps=1)


def test_add_at_extremes(check):
    a, b = np.meshgrid(EXTREMES, EXTREMES)
    with np.errstate(invalid="ignore"):
        check(lambda x, v: x.add(v.a, v.b, v.out), {"a": a, "b": b}, {"out": a.shape}, ulps=1)


columns_of_a_wider_matrix = pytest.mark.parametrize(
    ("first", "beyond", "shape"),
    [
        *((8, 16, shape) for shape in SHAPES),
        *(
            (*others, shape)
            for others in [(0, 0), (0, 5), (3, 0)]
            for shape in [(7, 33), (3, 1000)]
        ),
    ],
    ids=name,
)
"""Columns before and beyond those that are put or taken."""


@columns_of_a_wider_matrix
def test_put_columns(check, shape, rng, first, beyond):
    wide = random_array(rng, (shape[0], first + shape[1] + beyond))
    inputs = {"x": random_array(rng, shape)}
    check(lambda b, v: b.put_columns(v.x, first, v.out), inputs, {"out": wide}, ulps=0)


@columns_of_a_wider_matrix
def test_take_columns(check, shape, rng, first, beyond):
    inputs = {"x": random_array(rng, (shape[0], first + shape[1] + beyond))}
    check(lambda b, v: b.take_columns(v.x, first, v.out), inputs, {"out": shape}, ulps=0)


@pytest.mark.parametrize("narrow", [(3,), (4, 3, 8), (2, 3, 4, 1), (2, 0, 3), (2, 3, 0)])
def test_columns_of_any_shape(check, dtype, rng, narrow):
    """Columns are those of the last axis."""
    wide = (*narrow[:-1], narrow[-1] + 12)
    x, before = random_array(rng, narrow), random_array(rng, wide)
    got = check(lambda b, v: b.put_columns(v.x, 4, v.out), {"x": x}, {"out": before}, ulps=0)
    last = 4 + narrow[-1]
    assert got["out"][..., 4:last].tobytes() == x.astype(dtype).tobytes()
    check(lambda b, v: b.take_columns(v.x, 4, v.out), {"x": before}, {"out": narrow}, ulps=0)


def test_columns_that_were_put_are_taken_to_the_bit(backend, dtype):
    """Copies are of bits, NaN's too."""
    x = np.array([EXTREMES, EXTREMES[::-1]], dtype)
    wide, taken = backend.zeros((2, 17), dtype), backend.empty(x.shape, dtype)
    backend.put_columns(backend.asarray(x), 5, wide)
    backend.take_columns(wide, 5, taken)
    assert backend.to_numpy(taken).tobytes() == x.tobytes()
    beside = np.delete(backend.to_numpy(wide), np.s_[5:16], axis=1)
    assert not beside.any()


@pytest.mark.parametrize(("shape", "first"), [((3, 2), 4), ((3, 2), -1), ((2, 2), 0), ((3, 6), 0)])
def test_columns_that_are_not_there(backend, shape, first):
    wide, narrow = backend.zeros((3, 5), np.float32), backend.zeros(shape, np.float32)
    for operation in (
        lambda: backend.put_columns(narrow, first, wide),
        lambda: backend.take_columns(wide, first, narrow),
    ):
        with pytest.raises(ValueError, match=rf"is not the columns from {first} on of one of sha"):
            operation()
