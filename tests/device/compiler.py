"""Compile CUDA C++ with g++ against `cuda_on_cpu.h` into a shared library, and cache it.

The source is preprocessed first, without that header, so that its own macros cannot collide with
those of the C library, and so that kernels written by a macro are found.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
COMPILER = "g++"

PREDEFINED = (
    *("-D__CUDACC__", "-D__CUDACC_RTC__", "-D__CUDA_ARCH__=800", "-DCUDA_ON_CPU"),
    # cuda_on_cpu.h includes these two itself, outside the namespace that surrounds the kernels
    *("-DCOC_CUDA_FP16_H", "-DCOC_CUDA_BF16_H"),
)
CHECKS = "-fsanitize=alignment,bounds,shift,integer-divide-by-zero,return"
FLAGS = (
    *("-O1", "-fPIC", "-fwrapv", "-fno-strict-aliasing", "-fno-math-errno"),
    *(CHECKS, "-fno-sanitize-recover=all", "-Werror=frame-larger-than=32768"),
)
"""GPU code wraps on overflow and casts pointers freely; frames must fit the stack of a fiber."""
SANITIZERS = ("-fsanitize=address,undefined", "-fno-wrapv", "-Wno-frame-larger-than", "-g")
"""Added to the above; signed overflow, which NVRTC too may assume away, is a mistake here."""

_IGNORED = re.compile(
    r"-{1,2}(std=.*|use_fast_math|fmad=.*|ftz=.*|prec-(div|sqrt)=.*|generate-line-info|lineinfo"
    r"|maxrregcount=.*|ptxas-options=.*|device-as-default-execution-space|diag-suppress=.*)"
)
_PARENTHESES = r"\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)"
_BOUNDS = rf"(?:__launch_bounds__\s*({_PARENTHESES})\s*)?"
_KERNEL = re.compile(rf'extern\s+"C"\s+__global__\s+{_BOUNDS}void\s+{_BOUNDS}(\w+)\s*\(')
_DYNAMIC_SHARED = re.compile(
    rf"extern\s+(?:__align__\s*{_PARENTHESES}\s*)?__shared__\s+(?:__align__\s*{_PARENTHESES}\s*)?"
    r"((?:[\w:]+\s+)*[\w:]+)\s+(\w+)\s*\[\s*\]\s*;"
)


class CompileError(RuntimeError):
    """The compiler refused the source; the message is its log."""


def unavailable() -> str | None:
    """Say why the simulator cannot run here, or None where it can."""
    if sys.platform != "linux":
        return "the CUDA-on-CPU simulator needs Linux"
    if shutil.which(COMPILER) is None:
        return f"the CUDA-on-CPU simulator needs {COMPILER}, which is not installed"
    return None


def build(code: str, options: Sequence[str] = (), flags: Sequence[str] = ()) -> tuple[Path, list]:
    """Compile CUDA C++ source; return the shared library and the names of its kernels.

    `options` are those of NVRTC; `flags` are additional ones for g++.
    """
    preprocessed = _preprocess(code, _preprocessor_options(options))
    kernels = {name: first or second for first, second, name in _KERNEL.findall(preprocessed)}
    source = _translate(preprocessed, kernels)
    library = _cached_library(source, (*FLAGS, _standard(options), *flags))
    return library, list(kernels)


def _preprocessor_options(options: Sequence[str]) -> list[str]:
    """Keep what g++ shares with NVRTC, drop what only steers the GPU's code generator."""
    shared = [option for option in options if option[:2] in ("-D", "-U", "-I")]
    for option in options:
        if option not in shared and not _IGNORED.fullmatch(option):
            raise CompileError(f"the simulator does not know the compiler option {option!r}")
    return shared


def _standard(options: Sequence[str]) -> str:
    """CuPy compiles as C++17 unless told otherwise."""
    standards = [option.lstrip("-") for option in options if option.lstrip("-").startswith("std=")]
    return "-" + (standards[-1] if standards else "std=c++17")


def _preprocess(code: str, options: Sequence[str]) -> str:
    include = f"-I{HERE / 'include'}"
    command = [COMPILER, "-E", "-x", "c++", *PREDEFINED, *options, include, "-"]
    return _run(command, '#line 1 "kernel.cu"\n' + code)


def _translate(preprocessed: str, kernels: dict[str, str]) -> str:
    """Turn preprocessed CUDA into C++ that exports a launcher for each kernel.

    The namespaces let kernels have the names of C functions, and keep equal functions of two
    libraries apart.
    """
    body = _DYNAMIC_SHARED.sub(r"\1* const \2 = (\1*)coc::dynamic_shared;", preprocessed)
    body = re.sub(r'extern\s+"C"\s+(?=__global__)', "", body)
    exports = [
        f"COC_EXPORT({name}, {bounds[1:-1] or 'coc::MAX_THREADS'})"
        for name, bounds in kernels.items()
    ]
    opening, closing = "namespace { namespace coc_kernels {", "} }"
    lines = ['#include "cuda_on_cpu.h"', opening, body, closing, '#line 1 "exports"', *exports]
    return "\n".join(lines) + "\n"


def _cached_library(source: str, flags: Sequence[str]) -> Path:
    key = repr((source, flags, _headers(), platform.machine()))
    library = _cache_directory() / (hashlib.sha256(key.encode()).hexdigest()[:24] + ".so")
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=library.parent) as directory:
            _compile(source, flags, Path(directory)).replace(library)
    return library


def _compile(source: str, flags: Sequence[str], directory: Path) -> Path:
    """Compile and link in two steps, so that libubsan is not linked without `SANITIZERS`.

    checks.h replaces the part of it that `CHECKS` need.
    """
    unit, library = directory / "kernel.o", directory / "kernel.so"
    folders = f"-I{_compiled_headers(tuple(flags))}", f"-I{HERE}"
    _run([COMPILER, "-c", "-x", "c++", *flags, *folders, "-o", str(unit), "-"], source)
    link_flags = [flag for flag in flags if flag == SANITIZERS[0]]
    _run([COMPILER, "-shared", "-Wl,-Bsymbolic", *link_flags, "-o", str(library), str(unit)])
    return library


@functools.cache
def _compiled_headers(flags: Sequence[str]) -> Path:
    """Return a folder with `cuda_on_cpu.h` as g++ has read it, which takes it half the time."""
    key = repr((flags, _headers(), platform.machine()))
    folder = _cache_directory() / (hashlib.sha256(key.encode()).hexdigest()[:24] + ".headers")
    folder.mkdir(exist_ok=True)
    made = folder / "cuda_on_cpu.h.gch"
    if not made.exists():
        with tempfile.TemporaryDirectory(dir=folder) as directory:
            new = Path(directory) / made.name
            header = str(HERE / made.stem)
            _run([COMPILER, "-x", "c++-header", *flags, "-o", str(new), header])
            new.replace(made)
    return folder


def _run(command: Sequence[str], source: str = "") -> str:
    result = subprocess.run(command, input=source, text=True, capture_output=True, check=False)
    if result.returncode:
        raise CompileError(result.stderr)
    return result.stdout


@functools.cache
def _headers() -> str:
    """Return the text of every header: part of the cache's key."""
    return "".join(path.read_text() for path in sorted(HERE.rglob("*.h")))


@functools.cache
def _cache_directory() -> Path:
    """Return a folder of compiled kernels that belongs to this user."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    directory = Path(base) / "nnkit" / "simulator"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=directory).close()
    except OSError:
        directory = Path(tempfile.mkdtemp(prefix="nnkit-simulator-"))
    return directory
