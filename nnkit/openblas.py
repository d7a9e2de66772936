"""Having OpenBLAS use a processor's AVX-512.

When NumPy loads it, OpenBLAS picks its kernels from a list of processors. On one that is newer than
the list it falls back to Haswell's, which do without AVX-512 and reach about half the speed there.
It reads OPENBLAS_CORETYPE at that moment only: a process that finds itself with the wrong kernels
has to start again. The command line does so; a library must leave its user's process alone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib import import_module

import numpy as np

from nnkit.system import cpu_features, openblas_remedy

VARIABLE = "OPENBLAS_CORETYPE"
KERNELS = "SkylakeX"
STATE = "NNKIT_OPENBLAS"
"""What `choose_kernels` tells the process it starts: "chosen", or "rejected" for wrong products."""


def choose_kernels() -> None:
    """Start this process again with AVX-512 kernels if OpenBLAS leaves them unused.

    For the process of a command, as its first act: the process is replaced, at the cost of one more
    start of Python. It comes back here, checks a few products, and starts again without the kernels
    should one be wrong. A value of OPENBLAS_CORETYPE that the user has set is left alone.
    """
    if os.environ.get(STATE) == "chosen":
        if not products_are_right():
            _restart({STATE: "rejected"})
    elif STATE not in os.environ and (chosen := environment()):
        _restart({**chosen, STATE: "chosen"})


def environment() -> dict[str, str]:
    """Variables under which a child process uses AVX-512; none where there is nothing to gain."""
    if VARIABLE in os.environ or openblas_remedy(loaded_kernels(), cpu_features()) is None:
        return {}
    return {VARIABLE: KERNELS}


def loaded_kernels() -> str:
    """Name the kernels that NumPy's OpenBLAS has chosen, such as "Haswell"; "" without OpenBLAS."""
    from threadpoolctl import threadpool_info

    import_module("numpy.linalg")
    names = [
        str(library.get("architecture", ""))
        for library in threadpool_info()
        if library["internal_api"] == "openblas"
    ]
    return names[0] if names else ""


def products_are_right() -> bool:
    """Multiply small matrices of integers, which have exact products, in each orientation."""
    rng = np.random.default_rng(0)
    a, b = rng.integers(-8, 9, (67, 129)), rng.integers(-8, 9, (129, 65))
    exact = np.matmul(a, b)
    return all(
        np.array_equal(np.matmul(left, right), exact)
        for dtype in (np.float32, np.float64)
        for left in (a.astype(dtype), np.asfortranarray(a, dtype))
        for right in (b.astype(dtype), np.asfortranarray(b, dtype))
    )


def _restart(changes: dict[str, str]) -> None:
    """Replace this process by the same command under a changed environment.

    Windows would start a second one, for which no shell waits: there this one waits for it.
    """
    environment = {name: v for name, v in os.environ.items() if name not in (STATE, VARIABLE)}
    sys.stdout.flush()
    sys.stderr.flush()
    command = [sys.executable, *sys.orig_argv[1:]]
    if sys.platform == "win32":
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the other one, too
        sys.exit(subprocess.run(command, env=environment | changes, check=False).returncode)
    os.execve(sys.executable, command, environment | changes)
