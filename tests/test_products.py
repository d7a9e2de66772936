"""Matrix products of the Numba backend: tiles, panels, teams."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

from nnkit.backends.numba import create
from nnkit.kernels.numba import products
from nnkit.kernels.numba.runtime import tape, threads
from nnkit.kernels.numba.runtime.memory import ALONE, SHARERS

SHAPES = [
    *((n, m, 7) for n in (1, 2, 9, 13) for m in (1, 10, 16, 31, 64, 97, 113, 130)),
    *((3, 5, depth) for depth in (1, 2, products.DEPTH - 1, products.DEPTH + 1, 1300)),
    (100, 100, 784),
    (70, 600, 20),
]
"""Rows and columns of the result, and depth: edges of tiles, of panels, of blocks."""

every_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "x".join(map(str, s)))


def operands(shape: tuple[int, int, int], dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    n, m, depth = shape
    rng = np.random.default_rng(n + 100 * m + 7 * depth)
    return (rng.standard_normal(s).astype(dtype) for s in ((n, depth), (depth, m)))  # type: ignore[return-value]


def layouts(a: np.ndarray, b: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """The matrices and their transposes' transposes."""
    at, bt = (np.ascontiguousarray(x.T).T for x in (a, b))
    return [(a, b), (at, b), (a, bt), (at, bt)]


@every_shape
def test_values(shape, dtype):
    a, b = operands(shape, dtype)
    exact = a.astype(np.longdouble) @ b.astype(np.longdouble)
    bound = shape[2] * np.finfo(dtype).eps * (np.abs(a).astype(float) @ np.abs(b).astype(float))
    for left, right in layouts(a, b):
        got = create().matmul(left, right)
        assert got.dtype == dtype
        assert (np.abs(got - exact) <= bound).all()


@every_shape
def test_nothing_is_written_beside_the_result(shape, dtype):
    a, b = operands(shape, dtype)
    n, m = shape[:2]
    memory = np.full((n + 2, m), 99, dtype)
    for left, right in layouts(a, b):
        create().matmul(left, right, memory[1:-1])
        assert (memory[[0, -1]] == 99).all()


@every_shape
@pytest.mark.parametrize("members", [2, 3, 5])
def test_bits_do_not_depend_on_the_team(shape, members, dtype):
    a, b = operands(shape, dtype)
    n, m, _ = shape
    width = products.best_width(n, m, a.itemsize)
    alone, together = np.empty((2, n, m), dtype)
    for turned in ((False, False), (True, False), (False, True), (True, True)):
        pair = (np.ascontiguousarray(x.T) if t else x for x, t in zip((a, b), turned, strict=True))
        arguments = *pair, alone, *turned, width
        products.product.function(*arguments, ALONE)
        together.fill(np.nan)
        one = tape.Tape()
        one.append(products.product.function, (*arguments[:2], together, *arguments[3:]), 2, 0)
        instructions = np.array(one._instructions, np.int64)
        instructions[:, SHARERS] = members
        threads.carry_out(instructions, 1, members)
        np.testing.assert_array_equal(together, alone)


def test_a_row_does_not_depend_on_the_others():
    a, b = operands((37, 50, 600), np.float32)
    backend = create()
    whole = backend.matmul(a, b)
    for i in (0, 5, 36):
        np.testing.assert_array_equal(backend.matmul(a[i : i + 1], b)[0], whole[i])


@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 0, 4), (3, 4, 0), (0, 0, 0)])
def test_empty(shape, dtype):
    a, b = operands(shape, dtype)
    for left, right in layouts(a, b):
        got = create().matmul(left, right)
        assert got.shape == shape[:2]
        assert (got == 0).all()


def test_nan_and_infinity_go_where_they_belong():
    a, b = np.ones((9, 20), np.float32), np.ones((20, 40), np.float32)
    a[3, 4], b[7, 11], b[9, 12], a[5, 9] = np.nan, np.inf, np.inf, 0
    got = create().matmul(a, b)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(got, a @ b)
    assert np.isnan(got[3]).all()
    assert np.isnan(got[5, 12])


def test_other_dtypes_and_strides_go_to_numpy():
    backend = create()
    ints = np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(backend.matmul(ints, ints.T), ints @ ints.T)
    single, double = ints.astype(np.float32), ints.T.astype(np.float64)
    out = np.empty((2, 2))
    np.testing.assert_array_equal(backend.matmul(single, double, out), ints @ ints.T)
    wide = np.arange(40.0).reshape(4, 10)
    np.testing.assert_array_equal(backend.matmul(wide[:, ::2], wide[:, ::2].T)[0, 0], 120)


@pytest.mark.parametrize(
    ("a", "b", "out"), [((2, 3), (4, 5), None), ((2, 3), (3, 5), (2, 4)), ((2, 3), (3, 5), (3, 5))]
)
def test_shapes_that_do_not_fit(a, b, out):
    result = None if out is None else np.empty(out, np.float32)
    with pytest.raises(ValueError, match=r"mismatch|broadcast|shape"):
        create().matmul(np.ones(a, np.float32), np.ones(b, np.float32), result)
