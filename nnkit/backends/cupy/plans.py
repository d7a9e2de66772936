"""Plans of products: for one shape all that cuBLASLt is told, and the algorithm that it chose."""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

from nnkit.backends.contract import Array
from nnkit.backends.cupy.cublaslt import (
    FAST_TF32,
    REALS,
    Algorithm,
    CublasLt,
    Epilogue,
    Heuristic,
    Real,
    RefusedError,
)
from nnkit.backends.precision import get_precision

WORKSPACE_BYTES = 32 << 20
"""What NVIDIA recommends for Hopper; smaller GPUs use less of it."""

_OPERATION_N, _OPERATION_T = 0, 1
_DESCRIPTION_TRANSPOSE_A, _DESCRIPTION_TRANSPOSE_B = 3, 4
_LAYOUT_BATCH_COUNT, _LAYOUT_BATCH_OFFSET = 5, 6
_DESCRIPTION_EPILOGUE, _DESCRIPTION_BIAS_POINTER = 7, 8
_PREFERENCE_MAX_WORKSPACE = 1
_PREFERENCE_MIN_ALIGNMENTS = 5, 6, 7, 8
"""Of cuBLASLt's A, B, C and D."""
_MOST_ALIGNMENT = 256


class Plan(NamedTuple):
    """All that a product of one shape needs."""

    description: ctypes.c_void_p
    a: ctypes.c_void_p
    b: ctypes.c_void_p
    out: ctypes.c_void_p
    algorithm: Algorithm


def key(a: Array, b: Array, out: Array, *epilogue: Any) -> tuple[Any, ...]:
    """All that the plan of a product depends on; `epilogue` is empty, or an epilogue and vector."""
    arrays = a, b, out, *epilogue[1:]
    alignments = tuple(map(_alignment, arrays))
    lie = tuple((is_transposed(x), leading(x), _apart(x)) for x in (a, b, out))
    return a.shape, b.shape, out.dtype.name, get_precision(), lie, alignments, *epilogue[:1]


def leading(array: Array) -> int | None:
    """Elements from one row of a matrix to the next, or from one column where it is transposed.

    None where neither lie in one piece, apart from each other. Of matrices (batch, n, m) it is
    that of each.
    """
    (n, m), (down, across), item = array.shape[-2:], array.strides[-2:], array.itemsize
    if array.flags.c_contiguous:
        return int(m)
    for length, within, apart in ((m, across, down), (n, down, across)):
        if within == item and apart >= length * item and apart % item == 0:
            return int(apart // item)
    return None


def make_plan(
    cublaslt: CublasLt,
    a: Array,
    b: Array,
    out: Array,
    epilogue: Epilogue | None = None,
    vector: Array | None = None,
) -> Plan:
    """Describe a product and choose the algorithm, which depends on the arrays' alignment."""
    real = REALS[out.dtype.name]
    description = ctypes.c_void_p()
    cublaslt.call(
        "cublasLtMatmulDescCreate",
        ctypes.byref(description),
        ctypes.c_int(FAST_TF32 if real.data == 0 and get_precision() == "tf32" else real.compute),
        ctypes.c_int(real.scale),
    )
    for attribute, array in ((_DESCRIPTION_TRANSPOSE_A, b), (_DESCRIPTION_TRANSPOSE_B, a)):
        operation = _OPERATION_T if is_transposed(array) else _OPERATION_N
        _describe(cublaslt, description, attribute, ctypes.c_int32(operation))
    if epilogue is not None and vector is not None:
        _describe(cublaslt, description, _DESCRIPTION_EPILOGUE, ctypes.c_uint32(epilogue))
        point_to(cublaslt, description, vector)
    layouts = (
        _layout(cublaslt, a, real),
        _layout(cublaslt, b, real),
        _layout(cublaslt, out, real),
    )
    alignments = tuple(map(_alignment, (b, a, out, out)))
    return Plan(description, *layouts, _choose(cublaslt, description, *layouts, alignments))


def point_to(cublaslt: CublasLt, description: ctypes.c_void_p, vector: Array) -> None:
    """Have a described product add this vector, or write it."""
    address = ctypes.c_uint64(vector.data.ptr)
    _describe(cublaslt, description, _DESCRIPTION_BIAS_POINTER, address)


def _describe(cublaslt: CublasLt, description: ctypes.c_void_p, attribute: int, value: Any) -> None:
    cublaslt.call(
        "cublasLtMatmulDescSetAttribute",
        description,
        ctypes.c_int(attribute),
        ctypes.byref(value),
        ctypes.c_size_t(ctypes.sizeof(value)),
    )


def _layout(cublaslt: CublasLt, array: Array, real: Real) -> ctypes.c_void_p:
    """Describe a matrix as its columns lie in memory: a row of ours is a column."""
    shape = array.shape[-2:]
    columns, rows = shape[::-1] if is_transposed(array) else shape
    layout = ctypes.c_void_p()
    cublaslt.call(
        "cublasLtMatrixLayoutCreate",
        ctypes.byref(layout),
        ctypes.c_int(real.data),
        ctypes.c_uint64(rows),
        ctypes.c_uint64(columns),
        ctypes.c_int64(leading(array) or 0),
    )
    if array.ndim == 3:
        count, apart = ctypes.c_int32(len(array)), ctypes.c_int64(_apart(array))
        for attribute, value in ((_LAYOUT_BATCH_COUNT, count), (_LAYOUT_BATCH_OFFSET, apart)):
            cublaslt.call(
                "cublasLtMatrixLayoutSetAttribute",
                layout,
                ctypes.c_int(attribute),
                ctypes.byref(value),
                ctypes.c_size_t(ctypes.sizeof(value)),
            )
    return layout


def _choose(
    cublaslt: CublasLt,
    description: ctypes.c_void_p,
    a: ctypes.c_void_p,
    b: ctypes.c_void_p,
    out: ctypes.c_void_p,
    alignments: tuple[int, ...],
) -> Algorithm:
    preference, found, result = ctypes.c_void_p(), ctypes.c_int(), Heuristic()
    cublaslt.call("cublasLtMatmulPreferenceCreate", ctypes.byref(preference))
    limits: dict[int, Any] = {_PREFERENCE_MAX_WORKSPACE: ctypes.c_uint64(WORKSPACE_BYTES)}
    for attribute, alignment in zip(_PREFERENCE_MIN_ALIGNMENTS, alignments, strict=True):
        limits[attribute] = ctypes.c_uint32(alignment)
    for attribute, value in limits.items():
        cublaslt.call(
            "cublasLtMatmulPreferenceSetAttribute",
            preference,
            ctypes.c_int(attribute),
            ctypes.byref(value),
            ctypes.c_size_t(ctypes.sizeof(value)),
        )
    cublaslt.call(
        "cublasLtMatmulAlgoGetHeuristic",
        cublaslt.handle,
        description,
        b,
        a,
        out,
        out,
        preference,
        ctypes.c_int(1),
        ctypes.byref(result),
        ctypes.byref(found),
    )
    cublaslt.call("cublasLtMatmulPreferenceDestroy", preference)
    if not found.value or result.state:
        raise RefusedError("cuBLASLt knows no algorithm for this product")
    return result.algorithm  # type: ignore[no-any-return]


def is_transposed(array: Array) -> bool:
    """Whether it is the columns of a matrix that lie in one piece."""
    return not array.flags.c_contiguous and array.strides[-1] != array.itemsize


def fit_together(a: Array, b: Array, out: Array) -> bool:
    """Whether ``out = a @ b`` is a product of matrices of one dtype, or as many of each.

    The rows of `out` lie in one piece.
    """
    return (
        a.dtype == b.dtype == out.dtype
        and a.ndim == b.ndim in (2, 3)
        and a.shape[-1] == b.shape[-2]
        and a.shape[:-2] == b.shape[:-2]
        and out.shape == (*a.shape[:-1], b.shape[-1])
        and leading(out) is not None
        and not is_transposed(out)
    )


def _apart(array: Array) -> int:
    """Elements from one matrix of several to the next."""
    return int(array.strides[0] // array.itemsize) if array.ndim == 3 else 0


def _alignment(array: Array) -> int:
    """Bytes that the address is a multiple of; more than cuBLASLt asks for do not count."""
    address: int = array.data.ptr
    return min(address & -address, _MOST_ALIGNMENT)
