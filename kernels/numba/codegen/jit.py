"""How the kernels are compiled: the options, by what a function is."""

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any, NamedTuple

from numba import njit
from numba.extending import overload

from nnkit.kernels.numba.codegen.cache import KernelCache

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


def kernel(function: Function, variant: str = "", **options: Any) -> Any:
    """Compile a function for Python and for compiled code to call, and cache it on disk.

    It compiles at the first call with arrays of a dtype. A factory tells the functions that it
    makes apart by `variant`.
    """
    compiled = njit(**FAST, **options)(function)
    with suppress(RuntimeError):  # where no folder can be written, nothing is kept
        compiled._cache = KernelCache(function, variant)
    return compiled


class Kernel(NamedTuple):
    """A kernel whose work a team of threads can share; see ``runtime/team.py``."""

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


def by_type(choose: Function) -> Function:
    """Make a helper of several versions: `choose` returns one, given its arguments' Numba types."""

    @wraps(choose)
    def version(*_: Any) -> Any:
        raise NotImplementedError("called from compiled functions only")

    overload(version, jit_options=EXACT)(choose)
    return version
