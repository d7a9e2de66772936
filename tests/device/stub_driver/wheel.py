"""CuPy's wheel: whether it can be patched here, and where its CUDA functions are."""

from __future__ import annotations

import ctypes
import importlib.util
import platform
import sys
from pathlib import Path

from tests.device import simulator
from tests.device.stub_driver import elf

DRIVER = "libcuda.so.1"
START = "PyInit_runtime"
"""The one exported function of the extension module that the runtime is linked into."""
JUMP_BYTES = 12
"""Size of the machine code that a patched function begins with."""


def unavailable() -> str | None:
    """Say why CuPy cannot run over the pretend driver here, or None where it can."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "CuPy is patched on Linux on x86-64 only"
    if reason := simulator.unavailable():
        return reason
    if importlib.util.find_spec("cupy_backends") is None:
        return "CuPy is not installed"
    if _driver_is_installed():
        return "an NVIDIA driver is installed here, over which the other tests use CuPy"
    try:
        runtime_functions()
    except (OSError, ValueError) as error:
        return f"this build of CuPy cannot be patched: {error}"
    return None


def _driver_is_installed() -> bool:
    try:
        ctypes.CDLL(DRIVER)
    except OSError:
        return False
    return True


def runtime() -> Path:
    """Return the extension module that the CUDA runtime is linked into, without importing it."""
    spec = importlib.util.find_spec("cupy_backends")
    folders = (spec.submodule_search_locations if spec else None) or []
    found = [path for at in folders for path in Path(at).glob("cuda/api/runtime.*.so")]
    if len(found) != 1:
        raise FileNotFoundError(f"it has {len(found)} extension modules `runtime`")
    return found[0]


def runtime_functions() -> tuple[dict[str, int], int]:
    """Return the addresses of the runtime's functions in the file, and that of START.

    Raises OSError or ValueError where they cannot be found or patched.
    """
    defined = [symbol for symbol in elf.symbols(runtime()) if symbol.defined]
    starts = [symbol.address for symbol in defined if symbol.name == START]
    chosen = {symbol.name: symbol for symbol in defined if _is_cudas(symbol.name)}
    if not chosen or not starts:
        raise ValueError("it does not name the CUDA functions that are linked into it")
    if small := [name for name, symbol in chosen.items() if symbol.size < JUMP_BYTES]:
        raise ValueError(f"{small[0]} is smaller than a jump")
    return {name: symbol.address for name, symbol in chosen.items()}, starts[0]


def _is_cudas(name: str) -> bool:
    return name.startswith("cuda") and name[4:5].isupper()
