"""Compile CUDA C++ with NVRTC as CuPy's RawModule does, without a GPU or a driver.

It needs CuPy and the wheels nvidia-cuda-nvrtc and nvidia-cuda-runtime (or a CUDA toolkit).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.device import fake_cupy

_ENTRY = re.compile(r"Compiling entry function '(\w+)'")
_FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_REGISTERS = re.compile(r"Used (\d+) registers")
_SHARED = re.compile(r"(\d+) bytes smem")


class Compiled(NamedTuple):
    """What NVRTC makes of a source."""

    ptx: str
    machine_code: bytes
    """Empty for a virtual architecture."""
    kernels: dict[str, dict[str, int]]
    """Of machine code, what each kernel uses: "registers" a thread, and bytes of "spill" (stored
    and loaded), "shared" memory and "stack"."""


def unavailable() -> str | None:
    """Say why NVRTC cannot be used here, or None where it can."""
    try:
        compile_nvrtc("", "compute_80")
    except (ImportError, RuntimeError, OSError) as error:
        return f"NVRTC is not available: {error}"
    return None


def compile_nvrtc(source: str, arch: str, options: tuple[str, ...] = ()) -> Compiled:
    """Compile for ``sm_90`` (to machine code too) or ``compute_80`` (to PTX alone).

    Raises AssertionError with the compiler's log.
    """
    with fake_cupy.suspended():
        from cupy._core.core import assemble_cupy_compiler_options
        from cupy_backends.cuda.libs import nvrtc

        flags = assemble_cupy_compiler_options(options)
        flags += ("--device-as-default-execution-space", "-ftz=true", f"-arch={arch}")
        program = nvrtc.createProgram(source, "kernel.cu", (), ())
        try:
            nvrtc.compileProgram(program, (*flags, "--ptxas-options=-v"))
            code = nvrtc.getCUBIN(program) if arch[:3] == "sm_" else b""
            ptx = nvrtc.getPTX(program).decode()
            return Compiled(ptx, code, _usage(nvrtc.getProgramLog(program)))
        except nvrtc.NVRTCError:
            raise AssertionError(nvrtc.getProgramLog(program)) from None
        finally:
            nvrtc.destroyProgram(program)


def _usage(log: str) -> dict[str, dict[str, int]]:
    """Read ptxas's report; functions that are not inlined count with the kernel before them."""
    kernels: dict[str, dict[str, int]] = {}
    for line in log.splitlines():
        if found := _ENTRY.search(line):
            used = kernels[found[1]] = dict.fromkeys(("registers", "spill", "shared", "stack"), 0)
        elif found := _FRAME.search(line):
            used["stack"] += int(found[1])
            used["spill"] += int(found[2]) + int(found[3])
        elif found := _REGISTERS.search(line):
            used["registers"] = int(found[1])
            if shared := _SHARED.search(line):
                used["shared"] = int(shared[1])
    return kernels
