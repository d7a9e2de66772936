"""Matrix products through cuBLASLt, which may be called while a CUDA stream captures.

CuPy's own cuBLAS calls refuse that. The library is called through ctypes; names and numbers are
those of cublasLt.h of CUDA 12 and 13. For every shape, the first product asks cuBLASLt for its best
algorithm and keeps the answer, so that no later one asks again.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from enum import IntEnum
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from nnkit.backends.contract import Array

WORKSPACE_BYTES = 32 << 20
"""What NVIDIA recommends for Hopper; smaller GPUs use less of it."""

_OPERATION_N, _OPERATION_T = 0, 1
_DESCRIPTION_TRANSPOSE_A, _DESCRIPTION_TRANSPOSE_B = 3, 4
_DESCRIPTION_EPILOGUE, _DESCRIPTION_BIAS_POINTER = 7, 8
_PREFERENCE_MAX_WORKSPACE = 1
_PREFERENCE_MIN_ALIGNMENTS = 5, 6, 7, 8
"""Of cuBLASLt's A, B, C and D."""
_MOST_ALIGNMENT = 256


class Epilogue(IntEnum):
    """What one launch does besides ``out = a @ b``, with a vector as long as a row of `out`.

    Numbers of cublasLtEpilogue_t. cuBLASLt speaks of columns: its D is ``out.T``, its A ``b.T``.
    """

    BIAS = 4
    """``out = a @ b + vector``."""
    RELU_BIAS = 6
    """``out = max(a @ b + vector, 0)``."""
    BIAS_GRADIENT = 256
    """BGRADA: also ``vector = sum of b over rows``."""


class RefusedError(RuntimeError):
    """cuBLASLt does not carry this out; the message says which call refused it."""


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


class _Found(ctypes.Structure):
    """Dl_info of dladdr."""

    _fields_ = (
        ("path", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("symbol", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    )


def load_library(major: int) -> Any:
    """Open libcublasLt of a version of CUDA, CuPy's, and note its `version` and `path`.

    It is the one that cuBLAS, which CuPy has used before, has loaded; the libraries of another
    framework may lie beside it. Raises OSError where there is none of this version.
    """
    windows = sys.platform == "win32"
    library: Any
    try:
        library = ctypes.CDLL(f"cublasLt64_{major}.dll" if windows else f"libcublasLt.so.{major}")
    except OSError:
        from cuda import pathfinder

        library = ctypes.CDLL(pathfinder.load_nvidia_dynamic_lib("cublasLt").abs_path)
    number = library.cublasLtGetVersion()
    library.version = f"{number // 10000}.{number // 100 % 100}.{number % 100}"
    library.path = _path(library)
    if number // 10000 != major:
        raise OSError(
            f"{library.path} is cuBLASLt {library.version}, but CuPy is for CUDA {major}: "
            f"pip install 'nnkit[cuda{major}]'"
        )
    return library


def _path(library: Any) -> str:
    """Where a library was loaded from; its name where the system does not tell."""
    found = _Found()
    if sys.platform != "win32":
        function = ctypes.cast(library.cublasLtGetVersion, ctypes.c_void_p)
        ctypes.CDLL(None).dladdr(function, ctypes.byref(found))
    return os.fsdecode(found.path) if found.path else str(library._name)


class CublasLt:
    """Products of CuPy matrices on the current stream.

    Raises OSError or RefusedError where the library is missing or refuses.
    """

    def __init__(self, cupy: Any) -> None:
        self._cupy = cupy
        self._library = load_library(cupy.cuda.runtime.runtimeGetVersion() // 1000)
        self._handle = ctypes.c_void_p()
        self._call("cublasLtCreate", ctypes.byref(self._handle))
        self._workspace = cupy.empty(WORKSPACE_BYTES, np.uint8)
        self._plans: dict[tuple[Any, ...], _Plan | None] = {}

    @property
    def library(self) -> str:
        """Name, version and path of the library, for people."""
        return f"cuBLASLt {self._library.version}, {self._library.path}"

    def matmul(self, a: Array, b: Array, out: Array) -> bool:
        """``out = a @ b`` for matrices that are C-contiguous or transposed views of such.

        Returns False, and leaves it to the caller, where cuBLASLt refuses. That is decided at the
        first product of a shape.
        """
        if not a.size or not b.size:
            out.fill(0)
            return True
        return self._carry_out(_key(a, b, out), self._plan, a, b, out)

    def fused(self, epilogue: Epilogue, a: Array, b: Array, out: Array, vector: Array) -> bool:
        """Carry out `matmul` and an epilogue at once, if that can be done.

        Returns False, and leaves all to the caller, for empty matrices and where cuBLASLt has no
        algorithm for it that keeps NaN. That is decided at the first product of a shape.
        """
        if not a.size or not b.size:
            return False
        key = _key(a, b, out, epilogue, vector)
        return self._carry_out(key, partial(self._plan_fused, epilogue), a, b, out, vector)

    def _carry_out(
        self, key: tuple[Any, ...], make: Callable[..., _Plan | None], *arrays: Array
    ) -> bool:
        """Carry out a planned product, the plan being made first, and proved, where there is none.

        Only the first product of a shape may be refused: later ones may be in a graph.
        """
        if key in self._plans:
            plan = self._plans[key]
            if plan is not None:
                self._run(plan, *arrays)
            return plan is not None
        try:
            plan = make(*arrays)
            if plan is not None:
                self._run(plan, *arrays)
        except RefusedError:
            plan = None
        self._plans[key] = plan
        return plan is not None

    def _plan_fused(
        self, epilogue: Epilogue, a: Array, b: Array, out: Array, vector: Array
    ) -> _Plan | None:
        """Plan an epilogue, and have it prove that a bias of NaN reaches every output.

        What ReLU makes of NaN is not documented and up to each algorithm.
        """
        plan = self._plan(a, b, out, epilogue, vector)
        if epilogue is Epilogue.BIAS_GRADIENT:
            return plan
        self._run(plan, a, b, out, self._cupy.full_like(vector, np.nan))
        return plan if bool(self._cupy.isnan(out).all()) else None

    def _run(
        self, plan: _Plan, a: Array, b: Array, out: Array, vector: Array | None = None
    ) -> None:
        """Issue a planned product. The vector's address is read now, also while capturing."""
        if vector is not None:
            self._describe(
                plan.description, _DESCRIPTION_BIAS_POINTER, ctypes.c_uint64(vector.data.ptr)
            )
        scalar = _REALS[out.dtype.name].scalar
        one, zero = scalar(1), scalar(0)
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

    def _plan(
        self,
        a: Array,
        b: Array,
        out: Array,
        epilogue: Epilogue | None = None,
        vector: Array | None = None,
    ) -> _Plan:
        """Describe a product and choose the algorithm, which depends on the arrays' alignment."""
        real = _REALS[out.dtype.name]
        description = ctypes.c_void_p()
        self._call(
            "cublasLtMatmulDescCreate",
            ctypes.byref(description),
            ctypes.c_int(real.compute),
            ctypes.c_int(real.scale),
        )
        for attribute, array in ((_DESCRIPTION_TRANSPOSE_A, b), (_DESCRIPTION_TRANSPOSE_B, a)):
            operation = _OPERATION_T if _is_transposed(array) else _OPERATION_N
            self._describe(description, attribute, ctypes.c_int32(operation))
        if epilogue is not None and vector is not None:
            self._describe(description, _DESCRIPTION_EPILOGUE, ctypes.c_uint32(epilogue))
            self._describe(description, _DESCRIPTION_BIAS_POINTER, ctypes.c_uint64(vector.data.ptr))
        layouts = self._layout(a, real), self._layout(b, real), self._layout(out, real)
        alignments = tuple(map(_alignment, (b, a, out, out)))
        return _Plan(description, *layouts, self._choose(description, *layouts, alignments))

    def _describe(self, description: ctypes.c_void_p, attribute: int, value: Any) -> None:
        self._call(
            "cublasLtMatmulDescSetAttribute",
            description,
            ctypes.c_int(attribute),
            ctypes.byref(value),
            ctypes.c_size_t(ctypes.sizeof(value)),
        )

    def _layout(self, array: Array, real: _Real) -> ctypes.c_void_p:
        """Describe a matrix as its columns lie in memory: a row of ours is a column."""
        columns, rows = array.shape[::-1] if _is_transposed(array) else array.shape
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
        alignments: tuple[int, ...],
    ) -> _Algorithm:
        preference, found, result = ctypes.c_void_p(), ctypes.c_int(), _Heuristic()
        self._call("cublasLtMatmulPreferenceCreate", ctypes.byref(preference))
        limits: dict[int, Any] = {_PREFERENCE_MAX_WORKSPACE: ctypes.c_uint64(WORKSPACE_BYTES)}
        for attribute, alignment in zip(_PREFERENCE_MIN_ALIGNMENTS, alignments, strict=True):
            limits[attribute] = ctypes.c_uint32(alignment)
        for attribute, value in limits.items():
            self._call(
                "cublasLtMatmulPreferenceSetAttribute",
                preference,
                ctypes.c_int(attribute),
                ctypes.byref(value),
                ctypes.c_size_t(ctypes.sizeof(value)),
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
        if not found.value or result.state:
            raise RefusedError("cuBLASLt knows no algorithm for this product")
        return result.algorithm  # type: ignore[no-any-return]

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status:
            raise RefusedError(f"{name} failed with cuBLAS status {status}")


def _key(a: Array, b: Array, out: Array, *epilogue: Any) -> tuple[Any, ...]:
    """All that the plan of a product depends on; `epilogue` is empty, or an epilogue and vector."""
    arrays = a, b, out, *epilogue[1:]
    alignments = tuple(map(_alignment, arrays))
    layouts = _is_transposed(a), _is_transposed(b)
    return a.shape, b.shape, out.dtype.name, layouts, alignments, *epilogue[:1]


def _is_transposed(array: Array) -> bool:
    return not array.flags.c_contiguous


def _alignment(array: Array) -> int:
    """Bytes that the address is a multiple of; more than cuBLASLt asks for do not count."""
    address: int = array.data.ptr
    return min(address & -address, _MOST_ALIGNMENT)
