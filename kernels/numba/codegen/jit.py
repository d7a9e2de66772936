"""How the kernels are compiled: the options, by what a function is."""

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

from numba import njit
from numba.extending import overload

from nnkit.kernels.numba.codegen import events, forking
from nnkit.kernels.numba.codegen.cache import cache_of, is_kernel
from nnkit.kernels.numba.codegen.parts import PartCompiler
from nnkit.kernels.numba.codegen.wholes import KernelCompiler

Function = Callable[..., Any]

events.pass_on(is_kernel)
forking.protect()

OPTIONS: dict[str, Any] = {"fastmath": {"contract"}, "error_model": "numpy", "nogil": True}
"""Options of all that is compiled: operations are carried out in the order written.

The only liberty is to round a product and a sum once. "reassoc" would make ``log(s) - (z - max)``
``(log(s) + max) - z``, which loses the digits of the logarithm where max is large.
"""
ANY_ORDER: dict[str, Any] = {**OPTIONS, "fastmath": {"contract", "reassoc", "nsz"}}
"""Options of `plus` (sums.py) alone. Not nnan and ninf: they would drop NaN and infinity."""
INNER: dict[str, Any] = {
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "forceinline": True,
    "pipeline_class": PartCompiler,
}
"""Options of what only compiled functions call: it compiles faster."""


def kernel(function: Function, variant: str = "", **options: Any) -> Any:
    """Compile a function for Python and for compiled code to call, and cache it on disk.

    It compiles at the first call with arrays of a dtype. A factory tells the functions that it
    makes apart by `variant`: in their names too, since Numba's number behind a name is unique in
    the process that compiled it only, and a program may load what several have compiled.
    """
    if variant:
        function.__qualname__ = f"{function.__code__.co_qualname}.{variant}"
    compiled = njit(**OPTIONS, **{"no_cfunc_wrapper": True, **options})(function)
    compiled._cache = cache_of(function, variant)
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
    how = {"no_cfunc_wrapper": False, "pipeline_class": KernelCompiler}  # it is the thunk there

    def made(function: Function) -> Kernel:
        if "<locals>" in function.__qualname__ and not variant:
            raise TypeError(f"{function.__qualname__} is made by a factory: give it a variant")
        return Kernel(kernel(function, variant, **how), grain)

    return made


def inline(function: Function) -> Any:
    """Compile a part of a kernel, into each of its callers."""
    return njit(**OPTIONS, **INNER)(function)


def any_order(function: Function) -> Any:
    """Do as `inline` for an addition that may be carried out in any order among its kind."""
    return njit(**ANY_ORDER, **INNER)(function)


def by_type(choose: Function) -> Function:
    """Make a function of several versions: `choose` returns one, given its Numba types."""

    @wraps(choose)
    def version(*_: Any) -> Any:
        raise NotImplementedError("called from compiled functions only")

    overload(version, jit_options={**OPTIONS, **INNER})(choose)
    return version
