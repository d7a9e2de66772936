"""Run CUDA C++ kernels on the CPU: a `RawModule` with the call surface of CuPy's.

Kernels take NumPy arrays in place of device memory. Everything that CuPy would pass on unchecked
is an error here: wrong dtypes, views with gaps, sizes beyond the GPU's limits, and writes outside
the arrays that were passed (where these come from `tests.device.memory.allocate`).

    with simulator.thread_order("reverse"):
        simulator.RawModule(code=source).get_function("name")((blocks,), (threads,), (array, ...))

`simulator.launch_count` counts launches, `simulator.launches` those of each kernel.

To find reads outside arrays and undefined behaviour too, run a test in a process with
`sanitizer_environment()`.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import math
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnkit import dtypes
from tests.device import compiler, memory
from tests.device.compiler import CompileError, unavailable

__all__ = ["ORDERS", "CompileError", "KernelError", "RawKernel", "RawModule", "unavailable"]

ORDERS = ("forward", "reverse", "shuffled")
SANITIZE = "NNKIT_SIMULATOR_SANITIZE"
DEFAULT_SHARED_BYTES, LARGEST_SHARED_BYTES = 48 * 1024, 227 * 1024
MAX_BLOCK, MAX_GRID = (1024, 1024, 64), (2**31 - 1, 65535, 65535)

launches: Counter[str] = Counter()
_order, _seed = "forward", 0

_SCALARS = {
    **{"f": np.float32, "d": np.float64, "b": np.bool_, "a": np.int8, "c": np.int8, "h": np.uint8},
    **{"s": np.int16, "t": np.uint16, "i": np.int32, "j": np.uint32, "l": np.int64, "m": np.uint64},
    **{"x": np.int64, "y": np.uint64, "6__half": np.float16, "7__half2": np.float16},
}
_VECTORS = {
    **{"char": np.int8, "uchar": np.uint8, "short": np.int16, "ushort": np.uint16},
    **{"int": np.int32, "uint": np.uint32, "longlong": np.int64, "ulonglong": np.uint64},
    **{"float": np.float32, "double": np.float64},
}


class KernelError(RuntimeError):
    """A kernel did what would crash, hang or corrupt memory on a GPU."""


def __getattr__(name: str) -> int:
    if name == "launch_count":
        return launches.total()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@contextlib.contextmanager
def thread_order(order: str, seed: int = 0) -> Iterator[None]:
    """Run threads and blocks forward, in reverse, or shuffled by a seed, inside a with statement.

    A kernel that lacks a barrier gives different results in different orders.
    """
    global _order, _seed
    if order not in ORDERS:
        raise ValueError(f"thread order {order!r} is none of {ORDERS}")
    previous = _order, _seed
    _order, _seed = order, seed
    try:
        yield
    finally:
        _order, _seed = previous


def sanitizer_environment() -> dict[str, str] | None:
    """Return the environment of a process in which kernels run under GCC's sanitizers.

    AddressSanitizer ends the process at any access, reads included, outside a NumPy array,
    UndefinedBehaviorSanitizer at what C++ leaves undefined. None where g++ has not got both. The
    former's library has to be loaded before Python.
    """
    libraries = [_library(name) for name in ("libasan.so", "libubsan.so")]
    if None in libraries:
        return None
    options = "detect_leaks=0:detect_stack_use_after_return=0"
    return {**os.environ, SANITIZE: "1", "LD_PRELOAD": str(libraries[0]), "ASAN_OPTIONS": options}


def _library(name: str) -> Path | None:
    """Return where g++ has a library of its own, or None."""
    command = [compiler.COMPILER, f"-print-file-name={name}"]
    found = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    return found if found.is_absolute() else None


class RawModule:
    """Compiled CUDA C++ source, as `cupy.RawModule`; kernels must be ``extern "C"``.

    `flags` are additional ones for g++.
    """

    def __init__(
        self,
        *,
        code: str,
        options: tuple[str, ...] = (),
        backend: str = "nvrtc",
        name_expressions: Sequence[str] | None = None,
        flags: tuple[str, ...] = (),
    ) -> None:
        if not isinstance(options, tuple):
            raise TypeError(f"options must be a tuple, as in CuPy, not {type(options).__name__}")
        if backend not in ("nvrtc", "nvcc"):
            raise ValueError(f"backend must be 'nvrtc' or 'nvcc', not {backend!r}")
        if name_expressions:
            raise NotImplementedError('the simulator runs extern "C" kernels only')
        if os.environ.get(SANITIZE):
            flags += compiler.SANITIZERS
        library, self.names = compiler.build(code, options, flags)
        self._library = ctypes.PyDLL(str(library))
        self._library.coc_error.restype = ctypes.c_char_p

    def get_function(self, name: str) -> RawKernel:
        """Return one of the module's kernels."""
        if name not in self.names:
            raise KernelError(f"no kernel {name!r}; the module has {', '.join(self.names)}")
        return RawKernel(self._library, name)


class RawKernel:
    """A kernel: ``kernel(grid, block, args, shared_mem=0)`` runs it in every thread of a grid."""

    def __init__(self, library: ctypes.PyDLL, name: str) -> None:
        self.name = name
        self.max_dynamic_shared_size_bytes = DEFAULT_SHARED_BYTES
        self.max_threads_per_block = int(library[f"coc_max_threads_{name}"]())
        self._launch, self._error = library[f"coc_launch_{name}"], library.coc_error
        signature = library[f"coc_signature_{name}"]
        signature.restype = ctypes.POINTER(ctypes.c_char_p)
        types = itertools.takewhile(lambda name: name is not None, signature())
        self._parameters = [_Parameter.parse(name.decode()) for name in types]

    def __call__(
        self,
        grid: tuple[int, ...],
        block: tuple[int, ...],
        args: Sequence[Any],
        *,
        shared_mem: int = 0,
        stream: Any = None,
    ) -> None:
        """Run the kernel; raise `TypeError` for wrong arguments, `KernelError` for what it does."""
        values = self.check(grid, block, args, shared_mem)
        launches[self.name] += 1
        pointers = (ctypes.c_void_p * len(values))(*(value.ctypes.data for value in values))
        arrays = [(i, array) for i, array in enumerate(args) if isinstance(array, np.ndarray)]
        around = memory.Surroundings(arrays)
        order = ORDERS.index(_order)
        if self._launch(pointers, _three(grid), _three(block), shared_mem, order, _seed):
            raise KernelError(f"{self.name}: {self._error().decode()}")
        if change := around.find_change():
            raise KernelError(f"{self.name}: {change}")

    def check(
        self, grid: tuple[int, ...], block: tuple[int, ...], args: Sequence[Any], shared_mem: int
    ) -> list[np.ndarray]:
        """Raise what a call would raise before the kernel runs; return the arguments as bytes."""
        self._check_geometry(tuple(_three(grid)), tuple(_three(block)), shared_mem)
        return self._convert(args)

    def _check_geometry(
        self, grid: tuple[int, ...], block: tuple[int, ...], shared_mem: int
    ) -> None:
        threads = math.prod(block)
        if any(n > limit for n, limit in zip(block, MAX_BLOCK, strict=True)) or threads > 1024:
            raise KernelError(f"{self.name}: block {block} exceeds {MAX_BLOCK} or 1024 threads")
        if threads > self.max_threads_per_block:
            limit = self.max_threads_per_block
            raise KernelError(f"{self.name}: {threads} threads, but __launch_bounds__({limit})")
        if any(n > limit for n, limit in zip(grid, MAX_GRID, strict=True)):
            raise KernelError(f"{self.name}: grid {grid} exceeds {MAX_GRID}")
        limit = min(self.max_dynamic_shared_size_bytes, LARGEST_SHARED_BYTES)
        if shared_mem > limit:
            raise KernelError(
                f"{self.name}: {shared_mem} bytes of dynamic shared memory, but "
                f"max_dynamic_shared_size_bytes is {limit}"
            )

    def _convert(self, args: Sequence[Any]) -> list[np.ndarray]:
        if len(args) != len(self._parameters):
            expected = len(self._parameters)
            raise TypeError(f"{self.name} takes {expected} arguments, {len(args)} were given")
        values = []
        for position, (parameter, arg) in enumerate(zip(self._parameters, args, strict=True)):
            try:
                values.append(parameter.convert(arg))
            except TypeError as error:
                raise TypeError(f"{self.name}, argument {position}: {error}") from None
        return values


@dataclass(frozen=True)
class _Parameter:
    """A parameter of a kernel: a scalar, or a pointer to (perhaps constant) elements."""

    is_pointer: bool
    is_constant: bool
    dtype: np.dtype | None  # None: any

    @classmethod
    def parse(cls, mangled: str) -> _Parameter:
        """Read a type as the Itanium C++ ABI mangles it, such as PKf for const float*."""
        is_pointer = mangled.startswith("P")
        element = mangled[1:] if is_pointer else mangled
        is_constant = is_pointer and "K" in element[: len(element) - len(element.lstrip("VK"))]
        return cls(is_pointer, is_constant, _element_dtype(element.lstrip("VK")))

    def convert(self, arg: Any) -> np.ndarray:
        """Return the argument's value, or its address, as a NumPy scalar array."""
        return self._address(arg) if self.is_pointer else self._scalar(arg)

    def _address(self, arg: Any) -> np.ndarray:
        if arg is None:
            return np.zeros(1, np.uintp)
        if not isinstance(arg, np.ndarray):
            raise TypeError(f"the kernel takes a pointer, not {type(arg).__name__} {arg!r}")
        if self.dtype is not None and arg.dtype != self.dtype:
            raise TypeError(f"an array of {arg.dtype} for a pointer to {self.dtype}")
        if not arg.flags.c_contiguous:
            raise TypeError(f"strides {arg.strides}: a kernel reads any array as C-contiguous")
        if not (self.is_constant or arg.flags.writeable):
            raise TypeError("a read-only array for a pointer that is not const")
        return np.array([arg.ctypes.data], np.uintp)

    def _scalar(self, arg: Any) -> np.ndarray:
        if isinstance(arg, bool | int | float):
            arg = np.array(arg)[()]  # a Python int becomes int64, a float float64, as in CuPy
        if not isinstance(arg, np.generic) or arg.dtype != self.dtype:
            kind = arg.dtype if isinstance(arg, np.generic) else type(arg).__name__
            raise TypeError(f"the kernel takes {self.dtype}, not {kind}; use np.{self.dtype}(...)")
        return np.array([arg])


def _element_dtype(mangled: str) -> np.dtype | None:
    if mangled == "v":
        return None
    if mangled in ("13__nv_bfloat16", "14__nv_bfloat162"):
        return dtypes.parse("bfloat16")
    if mangled.startswith("P"):
        return np.dtype(np.uint64)  # an array of pointers
    vector = re.fullmatch(r"\d+([a-z]+)[1234]", mangled)
    kind = _VECTORS.get(vector[1]) if vector else _SCALARS.get(mangled)
    if kind is None:
        raise KernelError(f"the simulator cannot pass the parameter type {mangled!r}")
    return np.dtype(kind)


def _three(sizes: tuple[int, ...]) -> ctypes.Array:
    """Complete a size to three dimensions; zero counts as one, as in CuPy."""
    if not isinstance(sizes, tuple):
        raise TypeError(f"grid and block must be tuples, as in CuPy, not {sizes!r}")
    return (ctypes.c_uint * 3)(*(max(1, int(n)) for n in (*sizes, 1, 1)[:3]))
