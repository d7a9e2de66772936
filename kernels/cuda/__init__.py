"""The CUDA kernels: their sources, and the options with which they are compiled."""

import re
from functools import cache
from importlib.resources import files

_FOLDER = files("nnkit.kernels") / "cuda"
FILES = sorted(file.name[:-3] for file in _FOLDER.iterdir() if file.name.endswith(".cu"))
"""The files of kernels."""

_TYPES = {
    "float32": ("float", "float", None),
    "float64": ("double", "double", None),
    "float16": ("__half", "float", "<cuda_fp16.h>"),
    "bfloat16": ("__nv_bfloat16", "float", "<cuda_bf16.h>"),
}
"""For each dtype the C++ types of numbers in memory and of arithmetic, and the former's header."""

DTYPES = tuple(_TYPES)

_NOT_NARROWED = {"products"}
"""Files of kernels for float32 and float64 alone, which compute with numbers as they are stored."""

THREADS = 256
"""Threads of a block.

Eight such blocks fill a multiprocessor of 2,048 threads, six one of 1,536. Where a kernel needs too
many registers for that, little stays empty because the blocks are small; still smaller ones would
only make more partial sums.
"""

_INCLUDE = re.compile(r'#include "(\w+\.cuh)"')


@cache
def source(name: str) -> str:
    """Return a file of kernels as one string, the headers that it includes in place.

    `#line` directives keep the compiler's messages at the right file and line.
    """
    return "\n".join(_expand(f"{name}.cu", set())) + "\n"


def _expand(file: str, included: set[str]) -> list[str]:
    text = (_FOLDER / file).read_text(encoding="utf-8")
    lines = [f'#line 1 "{file}"']
    for number, line in enumerate(text.splitlines(), 1):
        include = _INCLUDE.match(line)
        if include is None:
            lines.append(line)
        elif include[1] not in included:
            included.add(include[1])
            lines += [*_expand(include[1], included), f'#line {number + 1} "{file}"']
        else:
            lines.append("")
    return lines


def files_for(dtype: str) -> list[str]:
    """Return the files of kernels for arrays of a dtype; KeyError where it is not in DTYPES."""
    stored, real, _ = _TYPES[dtype]
    return [file for file in FILES if stored == real or file not in _NOT_NARROWED]


def options(dtype: str) -> tuple[str, ...]:
    """Return the compiler's options for arrays of a dtype; KeyError where it is not in DTYPES."""
    stored, real, header = _TYPES[dtype]
    types = ("-std=c++17", f"-DSTORE={stored}", f"-DREAL={real}", f"-DTHREADS={THREADS}")
    return types if header is None else (*types, f"-DHEADER={header}")
