"""What the processor offers that kernels are compiled for."""

import platform

from numba.core.registry import cpu_target

MACHINE = platform.machine().lower()
X86 = MACHINE in {"x86_64", "amd64"}
ARM = MACHINE in {"aarch64", "arm64"}

_FEATURES = cpu_target.target_context.codegen().magic_tuple()[2].split(",")
REGISTER_BYTES = 64 if "+avx512f" in _FEATURES else 32 if "+avx" in _FEATURES else 16
"""Size of a vector register."""
LINE = 64
"""Bytes of a cache line."""
