"""Putting the pretend CUDA in place, before anything has used the real one.

CuPy opens the driver library by ctypes, so that it can be given another object. The runtime is
linked into CuPy: each of its functions is overwritten, in memory, by a jump to a callback.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from typing import Any

from tests.device.stub_driver import functions, wheel

READ_WRITE_EXECUTE = 7


class Driver:
    """The driver library as ctypes would open it. What it does not offer is a failure."""

    def __getattr__(self, name: str) -> Any:
        return functions.DRIVER.get(name) or functions.refusal(name)


def patch() -> None:
    """Make the functions in `functions` those that CuPy calls, and all others a failure."""
    _patch_runtime()
    library = ctypes.CDLL

    def open_library(name: str | None, *args: Any, **kwargs: Any) -> Any:
        return Driver() if name == wheel.DRIVER else library(name, *args, **kwargs)

    ctypes.CDLL = open_library
    try:
        from cupy_backends.cuda.api import driver

        driver.ctxGetCurrent()  # the first call opens the library
    finally:
        ctypes.CDLL = library


def _patch_runtime() -> None:
    addresses, start = wheel.runtime_functions()
    moved_by = _address(ctypes.PyDLL(str(wheel.runtime()))[wheel.START]) - start
    for name, address in addresses.items():
        if name != "cudaRuntimeGetVersion":  # it needs no driver, and what it says is true
            callback = functions.RUNTIME.get(name) or functions.refusal(name)
            _jump(address + moved_by, _address(callback))


def _address(function: Any) -> int:
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    return address


def _jump(at: int, to: int) -> None:
    """Overwrite the beginning of a function: ``movabs rax, to; jmp rax``."""
    code = b"\x48\xb8" + struct.pack("<Q", to) + b"\xff\xe0"
    assert len(code) == wheel.JUMP_BYTES
    page = at & -mmap.PAGESIZE
    libc = ctypes.CDLL(None, use_errno=True)
    size = ctypes.c_size_t(at + len(code) - page)
    if libc.mprotect(ctypes.c_void_p(page), size, READ_WRITE_EXECUTE):
        raise OSError(ctypes.get_errno(), "code cannot be made writable here")
    ctypes.memmove(at, code, len(code))
