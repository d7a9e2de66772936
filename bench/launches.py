"""The CUDA kernels there are, and which of them a backend launches."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nnkit.backends import Backend
from nnkit.kernels import cuda

_KERNEL = re.compile(r'^extern "C" __global__ void(?: __launch_bounds__\([^)]*\))?\s+(\w+)\(', re.M)
_TEAMS = re.compile(r"^KERNELS\((\w+),", re.M)
SUFFIXES = ("", "_long", "_wide")
"""What KERNELS of rows.cuh makes of one name."""


def kernel_names(dtype: str = "float32") -> set[str]:
    """Every kernel of kernels/cuda for arrays of a dtype."""
    sources = [cuda.source(file) for file in cuda.files_for(dtype)]
    alone = {name for source in sources for name in _KERNEL.findall(source)}
    thrice = {name for source in sources for name in _TEAMS.findall(source)}
    return alone | {name + suffix for name in thrice for suffix in SUFFIXES}


@contextmanager
def counted(backend: Backend) -> Iterator[Counter[str]]:
    """Count how often each kernel is launched inside a with statement; none on a CPU."""
    launches: Counter[str] = Counter()
    launcher = getattr(backend, "launcher", None)
    if launcher is None:
        yield launches
        return

    launch = launcher.launch

    def count_and_launch(file: str, name: str, *others: Any) -> None:
        launch(file, name, *others)
        launches[name] += 1

    launcher.launch = count_and_launch
    try:
        yield launches
    finally:
        del launcher.launch
