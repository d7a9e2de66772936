"""The threads of the kernels: TBB's, as many as NNKIT_NUM_THREADS says, which holds for BLAS too.

Numba's other threading layers are not used: the threads of OpenMP and of its own "workqueue" spin
while they wait, which slows the matrix products of OpenBLAS in between; workqueue ends the process
when two Python threads call in at once (numba issue 8563), and OpenMP fails after a fork. Without
TBB the kernels run in the calling thread.
"""

import ctypes
import os
import site
import sys
from pathlib import Path

VARIABLE = "NNKIT_NUM_THREADS"

_LIBRARIES = {"win32": "Library/bin/tbb12.dll", "darwin": "lib/libtbb.12.dylib"}


def start() -> tuple[int, bool]:
    """Make Numba choose its threading layer; return how many threads to use, and if it is TBB.

    To be called before Numba is imported, where possible: only then can NNKIT_NUM_THREADS keep it
    from starting more threads than it will be given work for. Raises ValueError if that is not a
    positive whole number.
    """
    # How long the idle threads of an OpenBLAS that is loaded later (SciPy's, for the products) spin
    # on the cores that the kernels need: 2**20 cycles, not 2**26. The next product of a small
    # network comes sooner, and finds them awake.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "20")
    wanted = _wanted()
    if wanted:
        _limit_blas(wanted)
        if "numba" not in sys.modules:
            os.environ["NUMBA_NUM_THREADS"] = str(wanted)
    _load_tbb()
    import numba

    available = int(numba.get_num_threads())
    if numba.threading_layer() != "tbb":
        return 1, False
    return min(wanted or available, available), True


def _wanted() -> int | None:
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return None
    if not text.isdecimal() or int(text) == 0:
        raise ValueError(f"{VARIABLE}={text}: give a positive whole number of threads")
    return int(text)


def _limit_blas(threads: int) -> None:
    """Limit the BLAS libraries that are loaded, and an OpenBLAS that is loaded later (SciPy's)."""
    from threadpoolctl import threadpool_limits

    os.environ["OPENBLAS_NUM_THREADS"] = str(threads)
    threadpool_limits(threads, user_api="blas")


def _load_tbb() -> None:
    """Load the library of the `tbb` wheel, which lies where the dynamic linker does not look."""
    name = _LIBRARIES.get(sys.platform, "lib/libtbb.so.12")
    for folder in (sys.prefix, site.getuserbase()):
        library = Path(folder) / name
        if library.exists():
            ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
            return
