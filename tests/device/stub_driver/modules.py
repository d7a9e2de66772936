"""Modules and kernels: nobody compiles them for a GPU, and a launch finds their source.

CuPy's compiler is replaced, as NVRTC takes seconds and tests/test_nvrtc.py has it compile all
kernels of nnkit. What CuPy then loads as machine code is the number of a source.
"""

from __future__ import annotations

import ctypes
import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.device import simulator
from tests.device.stub_driver import cupy_kernels, functions
from tests.device.stub_driver.functions import Address, Addresses, Flags
from tests.device.stub_driver.functions import driver as offer
from tests.device.stub_driver.order import device
from tests.device.stub_driver.queues import Operation

CUPY_HEADER = "#include <cupy/"
"""How the sources of CuPy's own kernels begin."""
IGNORED_OPTIONS = "-I", "--device-as-default-execution-space"
"""Beginnings of options that CuPy adds to those of nnkit."""


@dataclass
class Source:
    """What a module is compiled of."""

    code: str
    options: tuple[str, ...]
    kernels: dict[str, simulator.RawKernel] = field(default_factory=dict)

    @property
    def is_cupys(self) -> bool:
        return self.code.lstrip().startswith(CUPY_HEADER)

    def simulated(self, name: str) -> simulator.RawKernel:
        """Return a kernel of nnkit as the simulator has it."""
        if name not in self.kernels:
            chosen = tuple(o for o in self.options if not o.startswith(IGNORED_OPTIONS))
            module = simulator.RawModule(code=self.code, options=chosen)
            self.kernels.update({each: module.get_function(each) for each in module.names})
        return self.kernels[name]


sources: list[Source] = []
_modules: dict[int, Source] = {}
_functions: dict[int, tuple[Source, str]] = {}
_handles = itertools.count(0x100000, 0x10)


def replace_compiler() -> None:
    """Have CuPy take all sources for compiled. To be called when CuPy is imported."""
    from cupy.cuda import compiler, function

    def compile_module(code: str, options: tuple[str, ...] = (), **others: Any) -> Any:
        if others.get("name_expressions"):
            raise NotImplementedError("the pretend CUDA has no templates of kernels")
        with functions.lock:  # threads compile at a time
            number = len(sources)
            sources.append(Source(code, options))
        module = function.Module()
        module.load(str(number).encode())
        return module

    compiler._compile_module_with_cache = compile_module


@offer("cuModuleLoadData", Addresses, Address)
def _load(module: Any, image: int) -> None:
    module[0] = next(_handles)
    _modules[module[0]] = sources[int(ctypes.string_at(image))]


@offer("cuModuleUnload", Address)
def _unload(module: int) -> None:
    del _modules[module]


@offer("cuModuleGetFunction", Addresses, Address, ctypes.c_char_p)
def _function(function: Any, module: int, name: bytes) -> None:
    function[0] = next(_handles)
    _functions[function[0]] = _modules[module], name.decode()


@offer("cuLaunchKernel", Address, *[Flags] * 7, Address, Addresses, Addresses)
def _launch(function: int, *how: Any) -> None:
    grid, block, (shared, stream, parameters, _) = how[:3], how[3:6], how[6:]
    source, name = _functions[function]
    if source.is_cupys:
        operation = cupy_kernels.prepare(source.code, name, parameters)
    else:
        operation = _prepare(source.simulated(name), grid, block, shared, parameters)
    device.give(stream, operation)


def _prepare(
    kernel: simulator.RawKernel,
    grid: Sequence[int],
    block: Sequence[int],
    shared: int,
    parameters: Any,
) -> Operation:
    """Copy a kernel's arguments, as a launch does, and return what runs it."""
    kernel._check_geometry(tuple(grid), tuple(block), shared)
    values, reads, writes = [], set(), set()
    for i, parameter in enumerate(kernel._parameters):
        size = ctypes.sizeof(Address) if parameter.is_pointer else parameter.dtype.itemsize
        value = ctypes.string_at(parameters[i], size)
        values.append(ctypes.create_string_buffer(value, size))
        if parameter.is_pointer and any(value):
            address = int.from_bytes(value, sys.byteorder)
            (reads if parameter.is_constant else writes).add(address)

    def run() -> None:
        simulator.launches[kernel.name] += 1
        pointers = (Address * len(values))(*map(ctypes.addressof, values))
        sizes = [(Flags * 3)(*three) for three in (grid, block)]
        if kernel._launch(pointers, *sizes, shared, 0, 0):
            raise simulator.KernelError(kernel._error().decode())

    return Operation(kernel.name, run, reads=frozenset(reads), writes=frozenset(writes))
