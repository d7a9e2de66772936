"""The stand-in for cuBLASLt gives what cublasLt.h says, and refuses what the library would."""

from __future__ import annotations

import ctypes
from ctypes import byref, c_int, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p
from typing import Any

import numpy as np
import pytest

from nnkit.backends.cupy.cublaslt import Heuristic
from nnkit.backends.cupy.plans import WORKSPACE_BYTES
from tests.device.fake_cublaslt import (
    BGRADA,
    BGRADB,
    BIAS,
    DEFAULT,
    INVALID_VALUE,
    NOT_SUPPORTED,
    RELU,
    RELU_BIAS,
    SUCCESS,
    Library,
    tf32,
)

M, N, K = 3, 4, 5


class Product:
    """``D = op(A) op(B)`` in columns, as cublasLt.h describes it, in float64."""

    def __init__(self, epilogue: int, transposed: tuple[bool, bool] = (False, False)) -> None:
        self.library, self.handle, self.about = Library(), c_void_p(), c_void_p()
        self.library.cublasLtCreate(byref(self.handle))
        self.library.cublasLtMatmulDescCreate(byref(self.about), c_int(70), c_int(1))
        self.set(3, c_uint32(transposed[0]))
        self.set(4, c_uint32(transposed[1]))
        self.set(7, c_uint32(epilogue))
        rng = np.random.default_rng(5)
        self.left, self.right = rng.normal(size=(M, K)), rng.normal(size=(K, N))
        stored = zip((self.left, self.right), transposed, strict=True)
        self.a, self.b = (np.asfortranarray(x.T if t else x) for x, t in stored)
        self.d = np.full((M, N), np.nan, order="F")
        self.layouts = [self.layout(x) for x in (self.a, self.b, self.d, self.d)]
        self.vector = rng.normal(size=N if epilogue == BGRADB else M)

    def set(self, attribute: int, value: Any) -> int:
        size = c_size_t(ctypes.sizeof(value))
        return self.library.cublasLtMatmulDescSetAttribute(
            self.about, c_int(attribute), byref(value), size
        )

    def layout(self, x: np.ndarray) -> c_void_p:
        layout, (rows, columns) = c_void_p(), x.shape
        self.library.cublasLtMatrixLayoutCreate(
            byref(layout), c_int(1), c_uint64(rows), c_uint64(columns), c_int64(rows)
        )
        return layout

    def set_vector(self) -> int:
        return self.set(8, c_uint64(self.vector.ctypes.data))

    def choose(self, alignment: int = 8) -> int:
        preference, self.result, found = c_void_p(), Heuristic(), c_int()
        self.library.cublasLtMatmulPreferenceCreate(byref(preference))
        for attribute in (5, 6, 7, 8):
            self.library.cublasLtMatmulPreferenceSetAttribute(
                preference, c_int(attribute), byref(c_uint32(alignment)), c_size_t(4)
            )
        return self.library.cublasLtMatmulAlgoGetHeuristic(
            self.handle, self.about, *self.layouts, preference, c_int(1), byref(self.result),
            byref(found),
        )  # fmt: skip

    def call(self) -> int:
        a, b, d = (c_void_p(x.ctypes.data) for x in (self.a, self.b, self.d))
        one, zero = byref(ctypes.c_double(1)), byref(ctypes.c_double(0))
        of_a, of_b, of_c, of_d = self.layouts
        return self.library.cublasLtMatmul(
            self.handle, self.about, one, a, of_a, b, of_b, zero, d, of_c, d, of_d,
            byref(self.result.algorithm), c_void_p(1), c_size_t(WORKSPACE_BYTES), c_void_p(0),
        )  # fmt: skip


@pytest.mark.parametrize("transposed", [(False, False), (True, False), (False, True)], ids=str)
@pytest.mark.parametrize("epilogue", [DEFAULT, RELU, BIAS, RELU_BIAS])
def test_epilogues_of_the_output(epilogue, transposed):
    """A bias is as long as a column of D."""
    product = Product(epilogue, transposed)
    product.set_vector()
    assert (product.choose(), product.call()) == (SUCCESS, SUCCESS)
    want = product.left @ product.right + bool(epilogue & BIAS) * product.vector[:, None]
    want = np.maximum(want, 0) if epilogue & RELU else want
    np.testing.assert_allclose(product.d, want, rtol=1e-12)


@pytest.mark.parametrize(
    ("epilogue", "transposed"),
    [(BGRADA, (False, False)), (BGRADA, (False, True)), (BGRADB, (True, True))],
)
def test_bias_gradients_are_sums_over_k(epilogue, transposed):
    product = Product(epilogue, transposed)
    product.set_vector()
    assert (product.choose(), product.call()) == (SUCCESS, SUCCESS)
    want = product.left.sum(axis=1) if epilogue == BGRADA else product.right.sum(axis=0)
    np.testing.assert_allclose(product.vector, want, rtol=1e-12)
    np.testing.assert_allclose(product.d, product.left @ product.right, rtol=1e-12)


@pytest.mark.parametrize(
    ("epilogue", "transposed"),
    [
        (BGRADA, (True, False)),
        (BGRADB, (False, False)),
        (BGRADA | BIAS, (False, False)),
        (3, (False, False)),
    ],
)
def test_unknown_epilogues_have_no_algorithm(epilogue, transposed):
    product = Product(epilogue, transposed)
    product.set_vector()
    assert product.choose() == NOT_SUPPORTED


def test_attributes_have_their_sizes():
    product = Product(BIAS)
    assert product.set(8, c_uint32(0)) == INVALID_VALUE
    assert product.set(7, c_uint64(BIAS)) == INVALID_VALUE
    assert product.set(99, c_uint32(0)) == INVALID_VALUE


def test_a_bias_without_a_pointer_is_refused():
    product = Product(BIAS)
    product.choose()
    assert product.call() == INVALID_VALUE


@pytest.mark.parametrize(("said", "status"), [(8, SUCCESS), (256, NOT_SUPPORTED)])
def test_arrays_must_be_as_aligned_as_was_said(said, status):
    product = Product(DEFAULT)
    buffer = np.zeros(M * K + 64)
    offset = -buffer.ctypes.data % 256 // 8 + 1
    product.a = buffer[offset : offset + M * K].reshape(M, K, order="F")
    product.choose(said)
    assert product.call() == status


def test_a_vector_that_is_not_aligned_is_an_error_of_the_device():
    product = Product(BIAS)
    buffer = np.zeros(64)
    offset = -buffer.ctypes.data % 256 // 8
    product.vector = buffer[offset : offset + M]
    product.set_vector()
    product.choose()
    assert product.call() == SUCCESS
    product.vector = buffer[offset + 1 : offset + 1 + M]
    product.set_vector()
    with pytest.raises(AssertionError, match="misaligned address"):
        product.call()


def test_several_matrices_at_once_with_gaps_between_their_columns():
    """Such as the groups of a convolution, whose matrices lie between each other."""
    product = Product(DEFAULT)
    rng = np.random.default_rng(6)
    wide = [np.asfortranarray(rng.normal(size=(2 * m, n))) for m, n in ((M, K), (K, N), (M, N))]
    product.a, product.b, product.d = wide
    for i, x in enumerate((*wide, wide[2])):
        rows, columns = len(x) // 2, x.shape[1]
        product.library.cublasLtMatrixLayoutCreate(
            byref(product.layouts[i]), c_int(1), c_uint64(rows), c_uint64(columns), c_int64(len(x))
        )
        for attribute, value in ((5, c_int32(2)), (6, c_int64(rows))):
            size = c_size_t(ctypes.sizeof(value))
            set_attribute = product.library.cublasLtMatrixLayoutSetAttribute
            assert (
                set_attribute(product.layouts[i], c_int(attribute), byref(value), size) == SUCCESS
            )
    assert (product.choose(), product.call()) == (SUCCESS, SUCCESS)
    for rows in (slice(None, M), slice(M, None)):
        columns = slice(None, K) if rows.stop else slice(K, None)
        want = product.a[rows] @ product.b[columns]
        np.testing.assert_allclose(product.d[rows], want, rtol=1e-12)
    product.library.cublasLtMatrixLayoutSetAttribute(
        product.layouts[0], c_int(5), byref(c_int32(1)), c_size_t(4)
    )
    assert product.choose() == INVALID_VALUE


def test_attributes_of_layouts_have_their_sizes():
    product = Product(DEFAULT)
    set_attribute = product.library.cublasLtMatrixLayoutSetAttribute
    layout = product.layouts[0]
    assert set_attribute(layout, c_int(5), byref(c_int64(2)), c_size_t(8)) == INVALID_VALUE
    assert set_attribute(layout, c_int(9), byref(c_int32(2)), c_size_t(4)) == INVALID_VALUE


def test_tf32_rounds_what_is_multiplied():
    one, digit = np.float32(1), np.float32(2.0**-10)
    x = np.array(
        [one + digit, one + digit / 2.5, one + digit / 1.5, -one - digit / 3, np.nan, np.inf]
    )
    want = [one + digit, one, one + digit, -one, np.nan, np.inf]
    np.testing.assert_array_equal(tf32(x.astype(np.float32)), np.array(want, np.float32))
