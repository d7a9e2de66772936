"""Matrix products through cuBLASLt, which may be called while a CUDA stream captures.

CuPy's own cuBLAS calls refuse that. The library is called through ctypes; names and numbers are
those of cublasLt.h of CUDA 12 and 13. For every shape, the first product asks cuBLASLt for its best
algorithm and keeps the answer, so that no later one asks again.
"""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

import numpy as np

from nnkit.backends.base import Array

WORKSPACE_BYTES = 32 << 20
"""What NVIDIA recommends for Hopper; smaller GPUs use less of it."""

_OPERATION_N, _OPERATION_T = 0, 1
_DESCRIPTION_TRANSPOSE_A, _DESCRIPTION_TRANSPOSE_B = 3, 4
_PREFERENCE_MAX_WORKSPACE = 1


class _Real(NamedTuple):
    """A dtype as cuBLASLt knows it: that of the matrices, of the sums, and of alpha and beta."""

    data: int
    compute: int
    scale: int
    scalar: Any


_REALS = {
    "float32": _Real(0, 68, 0, ctypes.c_float),  # CUDA_R_32F, CUBLAS_COMPUTE_32F
    "float64": _Real(1, 70, 1, ctypes.c_double),  # CUDA_R_64F, CUBLAS_COMPUTE_64F
    "float16": _Real(2, 68, 0, ctypes.c_float),  # CUDA_R_16F
    "bfloat16": _Real(14, 68, 0, ctypes.c_float),  # CUDA_R_16BF
}


class _Algorithm(ctypes.Structure):
    _fields_ = (("data", ctypes.c_uint64 * 8),)


class _Heuristic(ctypes.Structure):
    """cublasLtMatmulHeuristicResult_t."""

    _fields_ = (
        ("algorithm", _Algorithm),
        ("workspace", ctypes.c_size_t),
        ("state", ctypes.c_int),
        ("waves", ctypes.c_float),
        ("reserved", ctypes.c_int * 4),
    )


class _Plan(NamedTuple):
    """All that a product of one shape needs."""

    description: ctypes.c_void_p
    a: ctypes.c_void_p
    b: ctypes.c_void_p
    out: ctypes.c_void_p
    algorithm: _Algorithm


def load_library() -> Any:
    """Find and open libcublasLt, as CuPy does."""
    from cuda import pathfinder

    return ctypes.CDLL(pathfinder.load_nvidia_dynamic_lib("cublasLt").abs_path)


class CublasLt:
    """Products of CuPy matrices on the current stream.

    Raises OSError or RuntimeError where the library is missing or refuses.
    """

    def __init__(self, cupy: Any) -> None:
        self._cupy = cupy
        self._library = load_library()
        self._handle = ctypes.c_void_p()
        self._call("cublasLtCreate", ctypes.byref(self._handle))
        self._workspace = cupy.empty(WORKSPACE_BYTES, np.uint8)
        self._plans: dict[tuple[Any, ...], _Plan] = {}

    def matmul(self, a: Array, b: Array, out: Array) -> None:
        """``out = a @ b`` for matrices that are C-contiguous or transposed views of such."""
        if not a.size or not b.size:
            out.fill(0)
            return
        real = _REALS[out.dtype.name]
        transposed = not a.flags.c_contiguous, not b.flags.c_contiguous
        (n, m), k = out.shape, a.shape[1]
        key = n, m, k, transposed, out.dtype.name
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = self._plan(n, m, k, *transposed, real)
        one, zero = real.scalar(1), real.scalar(0)
        target = ctypes.c_void_p(out.data.ptr)
        # cuBLASLt counts columns first, so it is given out.T = b.T @ a.T.
        self._call(
            "cublasLtMatmul",
            self._handle,
            plan.description,
            ctypes.byref(one),
            ctypes.c_void_p(b.data.ptr),
            plan.b,
            ctypes.c_void_p(a.data.ptr),
            plan.a,
            ctypes.byref(zero),
            target,
            plan.out,
            target,
            plan.out,
            ctypes.byref(plan.algorithm),
            ctypes.c_void_p(self._workspace.data.ptr),
            ctypes.c_size_t(WORKSPACE_BYTES),
            ctypes.c_void_p(self._cupy.cuda.get_current_stream().ptr),
        )

    def _plan(self, n: int, m: int, k: int, a_t: bool, b_t: bool, real: _Real) -> _Plan:
        """Describe ``(n, k) @ (k, m)`` and choose the algorithm."""
        description = ctypes.c_void_p()
        self._call(
            "cublasLtMatmulDescCreate",
            ctypes.byref(description),
            ctypes.c_int(real.compute),
            ctypes.c_int(real.scale),
        )
        for attribute, flag in ((_DESCRIPTION_TRANSPOSE_A, b_t), (_DESCRIPTION_TRANSPOSE_B, a_t)):
            operation = ctypes.c_int32(_OPERATION_T if flag else _OPERATION_N)
            self._call(
                "cublasLtMatmulDescSetAttribute",
                description,
                ctypes.c_int(attribute),
                ctypes.byref(operation),
                ctypes.c_size_t(4),
            )
        a = self._layout(*((n, k) if a_t else (k, n)), real)
        b = self._layout(*((k, m) if b_t else (m, k)), real)
        out = self._layout(m, n, real)
        return _Plan(description, a, b, out, self._choose(description, a, b, out))

    def _layout(self, rows: int, columns: int, real: _Real) -> ctypes.c_void_p:
        layout = ctypes.c_void_p()
        self._call(
            "cublasLtMatrixLayoutCreate",
            ctypes.byref(layout),
            ctypes.c_int(real.data),
            ctypes.c_uint64(rows),
            ctypes.c_uint64(columns),
            ctypes.c_int64(rows),
        )
        return layout

    def _choose(
        self,
        description: ctypes.c_void_p,
        a: ctypes.c_void_p,
        b: ctypes.c_void_p,
        out: ctypes.c_void_p,
    ) -> _Algorithm:
        preference, found, result = ctypes.c_void_p(), ctypes.c_int(), _Heuristic()
        self._call("cublasLtMatmulPreferenceCreate", ctypes.byref(preference))
        limit = ctypes.c_uint64(WORKSPACE_BYTES)
        self._call(
            "cublasLtMatmulPreferenceSetAttribute",
            preference,
            ctypes.c_int(_PREFERENCE_MAX_WORKSPACE),
            ctypes.byref(limit),
            ctypes.c_size_t(8),
        )
        self._call(
            "cublasLtMatmulAlgoGetHeuristic",
            self._handle,
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
        self._call("cublasLtMatmulPreferenceDestroy", preference)
        if not found.value:
            raise RuntimeError("cuBLASLt knows no algorithm for this product")
        return result.algorithm  # type: ignore[no-any-return]

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status:
            raise RuntimeError(f"{name} failed with cuBLAS status {status}")
