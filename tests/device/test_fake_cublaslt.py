"""The stand-in for cuBLASLt gives what cublasLt.h says, and refuses what the library would."""

from __future__ import annotations

import ctypes
from ctypes import byref, c_int, c_int64, c_size_t, c_uint32, c_uint64, c_void_p
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


def test_the_vector_must_be_as_aligned_as_when_the_algorithm_was_chosen():
    product = Product(BIAS)
    buffer = np.zeros(64)
    offset = -buffer.ctypes.data % 256 // 8
    statuses = []
    for start in (offset, offset + 1):
        product.vector = buffer[start : start + M]
        product.set_vector()
        if start == offset:
            product.choose()
        statuses.append(product.call())
    assert statuses == [SUCCESS, NOT_SUPPORTED]
