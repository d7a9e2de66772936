"""A look-alike of the part of CuPy 14 that a neural-network backend uses, on the CPU.

Arrays live in watched NumPy memory (`tests.device.memory`), kernels run in the CUDA-on-CPU
simulator (`tests.device.simulator`), captured graphs are really recorded and replayed.

    with fake_cupy.installed():      # `import cupy` finds the look-alike
        with fake_cupy.count() as made:
            step()
        assert made.host_to_device == made.allocations == 0
        with fake_cupy.asynchronous("late"):
            step()                   # work is done when the host waits for it, and not before

What it does not show: speed, and CuPy's own mistakes.
"""

from __future__ import annotations

import contextlib
import sys
import types
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from types import SimpleNamespace
from typing import Any

import numpy as np

from nnkit.backends.cupy import cublaslt
from tests.device import (
    fake_cublaslt,
    fake_errors,
    fake_pinned,
    fake_pools,
    fake_streams,
    queues,
    simulator,
)
from tests.device import fake_runtime as runtime
from tests.device.fake_arrays import (
    MemoryPointer,
    array_functions,
    compute,
    mutate,
    ndarray,
    unwrap,
)
from tests.device.fake_runtime import count, counters
from tests.device.queues import asynchronous

__all__ = [
    "asynchronous",
    "count",
    "counters",
    "install",
    "installed",
    "suspended",
    "uninstall",
]

VERSION = "14.2.0"
_load_cublaslt = cublaslt.load_library
PACKAGES = ("cupy", "cupyx", "cupy_backends")

NUMPY_NAMES = """
    bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64
    complex64 complex128 dtype finfo iinfo issubdtype generic number integer signedinteger
    unsignedinteger inexact floating complexfloating newaxis pi e inf nan can_cast result_type
    isscalar
"""
"""Names that are NumPy's own objects in CuPy too."""

DLPACK_CUDA = 2
"""What DLPack calls memory of CUDA."""


# ------------------------------------------------------------------ making arrays


def array(
    obj: Any,
    dtype: Any = None,
    copy: bool | None = True,
    order: str | None = "K",
    subok: bool = False,
    ndmin: int = 0,
    *,
    blocking: bool = False,
) -> ndarray:
    """Make an array from host data, or from arrays on the device."""
    order = order or "K"
    if not isinstance(obj, ndarray) and hasattr(obj, "__cuda_array_interface__"):
        obj = _lent(obj, obj.__cuda_array_interface__)
    if isinstance(obj, ndarray):
        same = dtype is None or obj.dtype == dtype
        laid_out = order in "KA" or obj.flags[f"{order}_CONTIGUOUS"]
        if same and laid_out and not copy and obj.ndim >= ndmin:
            return obj
        return compute(np.array, (obj,), {"dtype": dtype, "order": order, "ndmin": ndmin})
    if _holds_arrays(obj):
        return compute(np.array, (obj,), {"dtype": dtype, "order": order, "ndmin": ndmin})
    return _from_host(np.array(obj, dtype, copy=None, ndmin=ndmin), order)


def from_dlpack(array: Any) -> ndarray:
    """Return an array of another library on the device, in the same memory."""
    kind, _ = array.__dlpack_device__()
    if kind != DLPACK_CUDA:
        raise ValueError(f"Unsupported device type {kind}")

    class OnHost:
        def __dlpack_device__(self) -> tuple[int, int]:
            return 1, 0

        def __dlpack__(self, **_: Any) -> Any:
            return array.__dlpack__(stream=1)

    return _lent(array, np.from_dlpack(OnHost()).__array_interface__)


def _lent(owner: Any, interface: dict[str, Any]) -> ndarray:
    """Make an array in the memory of another one, which stays alive."""
    host = np.asarray(SimpleNamespace(__array_interface__=interface))
    lent = ndarray.__new__(ndarray)
    lent._host, lent.base = host, owner
    return lent


def _holds_arrays(obj: Any) -> bool:
    nested = isinstance(obj, list | tuple)
    return nested and any(isinstance(x, ndarray) or _holds_arrays(x) for x in obj)


def _from_host(host: np.ndarray, order: str) -> ndarray:
    if order in "KA":
        order = "F" if host.flags.fnc else "C"
    result = ndarray(host.shape, host.dtype, order=order)
    if not host.ndim:
        result.fill(host[()])
        return result
    fake_streams.refuse_while_capturing("H2D transfers")
    counters.host_to_device += 1
    target, values = result._host, host if queues.current() is None else host.copy()
    fake_streams.submit(lambda: np.copyto(target, values))
    return result


def asarray(
    a: Any,
    dtype: Any = None,
    order: str | None = None,
    *,
    copy: bool | None = None,
    blocking: bool = False,
) -> ndarray:
    """Move to the device unless it is there already."""
    return array(a, dtype, copy, order)


def ascontiguousarray(a: Any, dtype: Any = None) -> ndarray:
    """Return a C-contiguous array of at least one dimension."""
    return array(a, dtype, None, "C", ndmin=1)


def asnumpy(
    a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True
) -> np.ndarray:
    """Copy to the host."""
    if isinstance(a, ndarray):
        return a.get(stream, order, out, blocking)
    return np.asarray(a, order=order)


def empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    """Make an array of NaN, or of other numbers that give a mistake away."""
    return ndarray(shape, float if dtype is None else dtype, order=order)


def full(shape: Any, fill_value: Any, dtype: Any = None, order: str = "C") -> ndarray:
    """Make an array of equal elements."""
    if dtype is None:
        dtype = fill_value.dtype if hasattr(fill_value, "dtype") else np.array(fill_value).dtype
    result = ndarray(shape, dtype, order=order)
    result.fill(fill_value)
    return result


def zeros(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    """Make an array of zeros."""
    return full(shape, 0, float if dtype is None else dtype, order)


def ones(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    """Make an array of ones."""
    return full(shape, 1, float if dtype is None else dtype, order)


def empty_like(
    prototype: Any, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None
) -> ndarray:
    """Make an uninitialised array like another."""
    if order in "KA":
        order = "F" if prototype.flags.fnc else "C"
    return ndarray(
        prototype.shape if shape is None else shape, dtype or prototype.dtype, order=order
    )


def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "K",
    subok: Any = None,
    shape: Any = None,
) -> ndarray:
    """Make an array of equal elements like another."""
    result = empty_like(a, dtype, order, subok, shape)
    result.fill(fill_value)
    return result


def zeros_like(
    a: Any, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None
) -> ndarray:
    """Make an array of zeros like another."""
    return full_like(a, 0, dtype, order, subok, shape)


def ones_like(
    a: Any, dtype: Any = None, order: str = "K", subok: Any = None, shape: Any = None
) -> ndarray:
    """Make an array of ones like another."""
    return full_like(a, 1, dtype, order, subok, shape)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> ndarray:
    """Make evenly spaced numbers."""
    bounds = (0, start) if stop is None else (start, stop)
    return compute(np.arange, (*bounds, step), {"dtype": dtype})


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = float, order: str = "C") -> ndarray:
    """Make a matrix with ones on a diagonal."""
    return compute(np.eye, (N, M, k), {"dtype": dtype, "order": order})


def get_array_module(*args: Any) -> types.ModuleType:
    """Return cupy if any argument is on the device, else numpy."""
    return sys.modules["cupy"] if any(isinstance(arg, ndarray) for arg in args) else np


def _random(name: str) -> Callable[..., ndarray]:
    def method(self: Generator, *args: Any, **kwargs: Any) -> ndarray:
        if fake_streams.is_capturing():
            raise NotImplementedError("random numbers during stream capture are not supported")
        return compute(getattr(self._host, name), args, kwargs)

    return method


class Generator:
    """Random numbers, as `cupy.random.Generator`, but NumPy's."""

    def __init__(self, bit_generator: Any) -> None:
        self._host = np.random.Generator(bit_generator)

    random = _random("random")
    standard_normal = _random("standard_normal")
    integers = _random("integers")
    uniform = _random("uniform")


def default_rng(seed: Any = None) -> Generator:
    """Make a generator of random numbers."""
    return Generator(np.random.PCG64(seed))


def norm(x: ndarray, ord: Any = None, axis: Any = None, keepdims: bool = False) -> ndarray:
    """Return the norm of a vector or matrix."""
    return compute(np.linalg.norm, (x,), {"ord": ord, "axis": axis, "keepdims": keepdims})


def scatter_add(a: ndarray, slices: Any, value: Any) -> None:
    """Add values at places that may repeat."""
    mutate(np.add.at, a, slices, value)


# ------------------------------------------------------------------ kernels


class RawModule:
    """CUDA C++ source whose kernels run in the simulator, as `cupy.RawModule`."""

    def __init__(
        self,
        *,
        code: str,
        options: tuple[str, ...] = (),
        backend: str = "nvrtc",
        name_expressions: Any = None,
    ) -> None:
        if not isinstance(options, tuple):
            raise TypeError(f"Argument 'options' must be tuple, not {type(options).__name__}")
        if backend not in ("nvrtc", "nvcc"):
            raise ValueError(f"Invalid backend {backend!r}")
        if name_expressions:
            raise NotImplementedError('the fake CuPy runs extern "C" kernels only')
        self.code, self.options, self.backend = code, options, backend
        self._compiled: simulator.RawModule | None = None

    def compile(self, log_stream: Any = None) -> None:
        """Compile now; otherwise the first kernel asked for does it."""
        try:
            self._compiled = simulator.RawModule(code=self.code, options=self.options)
        except simulator.CompileError as error:
            raise fake_errors.CompileException(
                str(error), self.code, "kernel.cu", self.options, self.backend
            ) from None

    def get_function(self, name: str) -> RawKernel:
        """Return a kernel."""
        if self._compiled is None:
            self.compile()
        return RawKernel._of(self._compiled.get_function(name))


class RawKernel:
    """A kernel that runs in the simulator, as `cupy.RawKernel`."""

    def __init__(
        self, code: str, name: str, options: tuple[str, ...] = (), backend: str = "nvrtc"
    ) -> None:
        module = RawModule(code=code, options=options, backend=backend)
        self._kernel = module.get_function(name)._kernel
        self.name = name

    @classmethod
    def _of(cls, kernel: simulator.RawKernel) -> RawKernel:
        self = cls.__new__(cls)
        self._kernel, self.name = kernel, kernel.name
        return self

    @property
    def max_dynamic_shared_size_bytes(self) -> int:
        """How much dynamic shared memory a launch may ask for; can be set."""
        return self._kernel.max_dynamic_shared_size_bytes

    @max_dynamic_shared_size_bytes.setter
    def max_dynamic_shared_size_bytes(self, value: int) -> None:
        self._kernel.max_dynamic_shared_size_bytes = value

    @property
    def max_threads_per_block(self) -> int:
        """The largest block that can be launched."""
        return self._kernel.max_threads_per_block

    def __call__(
        self,
        grid: tuple[int, ...],
        block: tuple[int, ...],
        args: Any,
        *,
        shared_mem: int = 0,
        stream: Any = None,
    ) -> None:
        """Launch the kernel, or record the launch if the stream captures."""
        values = tuple(_kernel_argument(arg) for arg in args)
        self._kernel.check(grid, block, values, shared_mem)
        fake_streams.submit(
            lambda: self._kernel(grid, block, values, shared_mem=shared_mem), stream
        )


def _kernel_argument(arg: Any) -> Any:
    if isinstance(arg, np.ndarray):
        if arg.size == 1:
            return arg.reshape(())[()]  # CuPy passes it by value
        raise TypeError(
            f"You are trying to pass a numpy.ndarray of shape {arg.shape} as a kernel parameter. "
            "Only numpy.ndarrays of size one can be passed by value."
        )
    return unwrap(arg)


# ------------------------------------------------------------------ modules


def _modules() -> dict[str, types.ModuleType]:
    """Make the modules of the look-alike."""
    api = {
        **{"CUDARuntimeError": fake_errors.CUDARuntimeError, "is_hip": False},
        **{"getDeviceCount": runtime.device_count, "getDevice": lambda: 0},
        **{"getDeviceProperties": runtime.device_properties, "memGetInfo": runtime.memory_info},
        **{"setDevice": runtime.Device, "deviceSynchronize": fake_streams.synchronize},
        **{"driverGetVersion": runtime.driver_version},
        **{"runtimeGetVersion": lambda: runtime.RUNTIME_VERSION},
        **{"streamCaptureModeGlobal": 0, "streamCaptureModeThreadLocal": 1},
        **{"streamCaptureModeRelaxed": 2, "streamIsCapturing": fake_streams.stream_is_capturing},
    }
    streams = {
        **{"Stream": fake_streams.Stream, "Event": fake_streams.Event},
        "get_current_stream": lambda device_id=-1: fake_streams.current_stream(),
        "get_elapsed_time": fake_streams.get_elapsed_time,
    }
    pools = {
        **{"MemoryPool": fake_pools.MemoryPool, "MemoryPointer": MemoryPointer},
        "set_allocator": fake_pools.set_allocator,
    }
    cuda = {
        **streams,
        **pools,
        "using_allocator": fake_pools.using_allocator,
        **{"Graph": fake_streams.Graph, "Device": runtime.Device, "is_available": _is_available},
        **{"PinnedMemoryPool": fake_pinned.PinnedMemoryPool, "get_device_id": lambda: 0},
        "get_local_runtime_version": lambda: runtime.RUNTIME_VERSION,
    }
    making = (
        *(array, asarray, ascontiguousarray, asnumpy, empty, full, zeros, ones, empty_like),
        from_dlpack,
        *(full_like, zeros_like, ones_like, arange, eye, get_array_module),
    )
    cupy = {
        **{name: getattr(np, name) for name in NUMPY_NAMES.split()},
        **array_functions,
        **{function.__name__: function for function in making},
        **{"ndarray": ndarray, "RawModule": RawModule, "RawKernel": RawKernel},
        **{"__version__": VERSION, "get_default_memory_pool": lambda: fake_pools.default_pool},
        "get_default_pinned_memory_pool": lambda: fake_pinned.default_pinned_pool,
    }
    contents = {
        "cupy": cupy,
        "cupy.cuda": cuda,
        "cupy.cuda.runtime": api,
        "cupy.cuda.stream": streams,
        "cupy.cuda.memory": pools,
        "cupy.cuda.graph": {"Graph": fake_streams.Graph},
        "cupy.cuda.device": {"Device": runtime.Device, "get_device_id": lambda: 0},
        "cupy.cuda.compiler": {"CompileException": fake_errors.CompileException},
        "cupy.random": {"default_rng": default_rng, "Generator": Generator},
        "cupy.linalg": {"norm": norm},
        "cupyx": {
            **{"empty_pinned": fake_pinned.empty_pinned, "zeros_pinned": fake_pinned.zeros_pinned},
            "scatter_add": scatter_add,
        },
        "cupy_backends": {},
        "cupy_backends.cuda": {},
        "cupy_backends.cuda.api": {},
        "cupy_backends.cuda.api.runtime": api,
    }
    return _linked(contents)


def _linked(contents: dict[str, dict[str, Any]]) -> dict[str, types.ModuleType]:
    modules = {}
    for name, content in contents.items():
        module = modules[name] = types.ModuleType(name, "Part of the look-alike of CuPy.")
        module.__spec__ = ModuleSpec(name, None)
        module.__path__ = []
        vars(module).update(content)
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(modules[parent], child, module)
    return modules


def _is_available() -> bool:
    return runtime.device_error is None


# ------------------------------------------------------------------ installing

_fake: dict[str, types.ModuleType] = {}
_replaced: list[dict[str, types.ModuleType]] = []


def install(device_error: int | None = None) -> types.ModuleType:
    """Have `import cupy` and `import cupyx` find the look-alike; return its `cupy`.

    With a `device_error` of 35 or 100 it is CuPy on a machine without a driver or without a GPU.
    """
    runtime.device_error = device_error
    if not _replaced:
        _fake.update(_fake or _modules())
        _replaced.append(_swap(_fake))
        cublaslt.load_library = fake_cublaslt.Library
    return _fake["cupy"]


def uninstall() -> None:
    """Undo `install`."""
    if _replaced:
        _swap(_replaced.pop())
        cublaslt.load_library = _load_cublaslt


@contextlib.contextmanager
def installed(device_error: int | None = None) -> Iterator[types.ModuleType]:
    """Install inside a with statement; afterwards all is as before."""
    before, error_before = bool(_replaced), runtime.device_error
    try:
        yield install(device_error)
    finally:
        uninstall()
        runtime.device_error = error_before
        if before:
            install(error_before)


@contextlib.contextmanager
def suspended() -> Iterator[None]:
    """Have `import cupy` find CuPy itself inside a with statement, if it is installed."""
    was_installed = bool(_replaced)
    uninstall()
    try:
        yield
    finally:
        if was_installed:
            install(runtime.device_error)


def _swap(modules: dict[str, types.ModuleType]) -> dict[str, types.ModuleType]:
    """Put modules into sys.modules in place of those of CuPy; return these."""
    names = [name for name in sys.modules if name.partition(".")[0] in PACKAGES]
    removed = {name: sys.modules.pop(name) for name in names}
    sys.modules.update(modules)
    return removed
