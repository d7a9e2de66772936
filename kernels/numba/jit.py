"""How the kernels are compiled: one set of options, and a disk cache that no edit leaves stale."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from numba import njit
from numba.core.caching import FunctionCache

Function = Callable[..., Any]

FAST: dict[str, Any] = {
    # Not nnan and ninf, which would let the compiler drop NaN and infinity.
    "fastmath": {"contract", "reassoc", "nsz", "arcp"},
    "error_model": "numpy",
    "nogil": True,
}
"""Options of kernels: sums may be reordered, which vector loops need."""
INNER: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Options of what only compiled functions call: it compiles faster."""
EXACT: dict[str, Any] = {
    "fastmath": {"contract"},
    "error_model": "numpy",
    "forceinline": True,
    **INNER,
}
"""Options of helpers: the order of their operations is kept."""


def _fingerprint() -> str:
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for source in (folder.parent / "table.py", *sorted(folder.glob("*.py"))):
        digest.update(source.read_bytes())
    return digest.hexdigest()


_FINGERPRINT = _fingerprint()


class _KernelCache(FunctionCache):  # type: ignore[misc]
    """Numba's cache, keyed by the sources of all kernels and by the kernel's variant.

    Numba looks only at the file of the function itself, and would go on using a kernel whose helper
    in another file has changed (numba issue 1833). And it finds functions made by a factory only if
    what they close over pickles to the same bytes in every process, which functions do not.
    """

    def __init__(self, function: Function, variant: str) -> None:
        super().__init__(function)
        self._variant = variant

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return sig, codegen.magic_tuple(), _FINGERPRINT, self._variant


def kernel(function: Function, variant: str = "", **options: Any) -> Any:
    """Compile a function for Python and for compiled code to call, and cache it on disk.

    It compiles at the first call with arrays of a dtype. A factory tells the functions that it
    makes apart by `variant`.
    """
    compiled = njit(**FAST, **options)(function)
    with suppress(RuntimeError):  # where no folder can be written, nothing is kept
        compiled._cache = _KernelCache(function, variant)
    return compiled


class Kernel(NamedTuple):
    """A kernel whose work a team of threads can share; see team.py."""

    function: Any
    """The compiled function. Its last argument is the team."""
    grain: int
    """The size from which another member is worth its waiting."""


def shared(grain: int, variant: str = "") -> Callable[[Function], Kernel]:
    """Compile a kernel that a team carries out; see `kernel`.

    `grain` is the number of elements that are worth a thread.
    """
    return lambda function: Kernel(kernel(function, variant), grain)


def body(function: Function) -> Any:
    """Compile a part of a kernel."""
    return njit(**FAST, **INNER, forceinline=True)(function)


def helper(function: Function) -> Any:
    """Compile a part of a kernel whose operations must be carried out in the order written."""
    return njit(**EXACT)(function)
