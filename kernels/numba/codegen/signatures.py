"""Numba's types of a kernel's arguments, by which it tells its compiled versions apart."""

from typing import Any

import numpy as np
from numba import typeof, types
from numba.np.numpy_support import from_dtype


def kind_of(argument: Any) -> Any:
    """Return what the type of an argument depends on, sooner than Numba finds the type."""
    if isinstance(argument, np.ndarray):
        return argument.dtype, argument.ndim, argument.flags.num
    return type(argument)


def signature_of(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the types of a call's arguments."""
    return tuple(map(_type_of, arguments))


def _type_of(argument: Any) -> Any:
    # Numba asks whether an array is masked, and loads what can tell: that takes longer than a step.
    if type(argument) is np.ndarray and argument.flags.c_contiguous:
        readonly = not argument.flags.writeable
        return types.Array(from_dtype(argument.dtype), argument.ndim, "C", readonly=readonly)
    return typeof(argument)
