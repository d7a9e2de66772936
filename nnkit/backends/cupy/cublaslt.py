"""cuBLASLt through ctypes: names and numbers are those of cublasLt.h of CUDA 12 and 13."""

from __future__ import annotations

import ctypes
import os
import sys
from enum import IntEnum
from typing import Any, NamedTuple


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


class Real(NamedTuple):
    """A dtype as cuBLASLt knows it: that of the matrices, of the sums, and of alpha and beta."""

    data: int
    compute: int
    scale: int
    scalar: Any


REALS = {
    "float32": Real(0, 68, 0, ctypes.c_float),  # CUDA_R_32F, CUBLAS_COMPUTE_32F
    "float64": Real(1, 70, 1, ctypes.c_double),  # CUDA_R_64F, CUBLAS_COMPUTE_64F
    "float16": Real(2, 68, 0, ctypes.c_float),  # CUDA_R_16F
    "bfloat16": Real(14, 68, 0, ctypes.c_float),  # CUDA_R_16BF
}

FAST_TF32 = 77
"""CUBLAS_COMPUTE_32F_FAST_TF32: float32 whose factors the tensor cores may round to 11 digits."""


class Algorithm(ctypes.Structure):
    """cublasLtMatmulAlgo_t."""

    _fields_ = (("data", ctypes.c_uint64 * 8),)


class Heuristic(ctypes.Structure):
    """cublasLtMatmulHeuristicResult_t."""

    _fields_ = (
        ("algorithm", Algorithm),
        ("workspace", ctypes.c_size_t),
        ("state", ctypes.c_int),
        ("waves", ctypes.c_float),
        ("reserved", ctypes.c_int * 4),
    )


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
            f"pip install 'cuda-toolkit[cublas]=={major}.*'"
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
    """The library, opened for CuPy's version of CUDA.

    Raises OSError or RefusedError where it is missing or refuses.
    """

    def __init__(self, cupy: Any) -> None:
        self.library = load_library(cupy.cuda.runtime.runtimeGetVersion() // 1000)
        self.handle = ctypes.c_void_p()
        self.call("cublasLtCreate", ctypes.byref(self.handle))

    def __str__(self) -> str:
        """Give name, version and path of the library, for people."""
        return f"cuBLASLt {self.library.version}, {self.library.path}"

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function by its name; RefusedError where it does not succeed."""
        status = getattr(self.library, name)(*arguments)
        if status:
            raise RefusedError(f"{name} failed with cuBLAS status {status}")
