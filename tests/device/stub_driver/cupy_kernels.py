"""CuPy's own kernels, carried out by NumPy: copies, arithmetic, reductions.

A kernel is known by its name, and its source says what its parameters are. `ELEMENTWISE` and
`REDUCTIONS` are all that can be carried out; random numbers, sorting, scans, indexing by arrays and
kernels that users write are not among them. To launch any other kernel is an error.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from nnkit import dtypes
from tests.device.stub_driver.queues import Operation

PREFIX = "cupy_"


def _same(x: np.ndarray) -> np.ndarray:
    return x


ELEMENTWISE: dict[str, Callable[..., Any]] = {
    "copy": _same,
    "fill": _same,
    "arange": lambda start, step, index: start + index * step,
    **{name: getattr(np, name) for name in ("absolute", "isnan", "isfinite", "logical_not")},
    **{name: getattr(np, name) for name in ("add", "subtract", "multiply", "true_divide")},
    **{name: getattr(np, name) for name in ("equal", "not_equal", "less", "less_equal")},
    **{name: getattr(np, name) for name in ("greater", "greater_equal", "maximum", "minimum")},
    **{name: getattr(np, name) for name in ("exp", "log", "sqrt", "negative", "remainder")},
}
"""By a kernel's name, without prefix and types."""
REDUCTIONS: dict[str, Callable[..., Any]] = {
    name: getattr(np, name) for name in ("all", "any", "max", "min", "sum", "argmax", "argmin")
}

_TYPES = {
    "bool": np.bool_,
    **{"char": np.int8, "signed char": np.int8, "unsigned char": np.uint8},
    **{"short": np.int16, "unsigned short": np.uint16, "int": np.int32, "unsigned int": np.uint32},
    **{"long long": np.int64, "unsigned long long": np.uint64, "long": np.int64},
    **{"float16": np.float16, "float": np.float32, "double": np.float64},
    **{dtype.name: dtype.type for dtype in dtypes.available(["bfloat16"])},
}
_SIGNATURE = r'extern "C" __global__ void {}\(([^)]*)\)'
_PARAMETER = re.compile(
    r"(?:const )?(?:CArray<([\w ]+), (\d+), \d, \d>|CIndexer<(\d+), \d>|([\w ]+?)) (?:_raw_)?(\w+)$"
)
_LOOP_TYPE = re.compile(r"typedef ([\w ]+) (\w+)_type;")
"""The types that a ufunc computes with, which its arguments may differ from."""


class UnknownKernelError(RuntimeError):
    """A kernel that this module does not know how to carry out."""


class _Memory:
    """Memory at an address, which NumPy takes for an array."""

    def __init__(self, interface: dict[str, Any]) -> None:
        self.__array_interface__ = interface


def view(
    address: int, shape: tuple[int, ...], dtype: np.dtype, strides: tuple[int, ...] | None = None
) -> np.ndarray:
    """Show the memory at an address as an array."""
    about = {"data": (address, False), "typestr": f"|V{dtype.itemsize}", "version": 3}
    return np.asarray(_Memory({**about, "shape": shape, "strides": strides})).view(dtype)


def prepare(code: str, name: str, parameters: Any) -> Operation:
    """Read a kernel's arguments, as a launch does; return what carries it out."""
    base = name.removeprefix(PREFIX).split("__")[0]
    if base not in REDUCTIONS and base not in ELEMENTWISE:
        raise UnknownKernelError(f"the pretend CUDA does not know CuPy's kernel {name}")
    values = _arguments(code, name, parameters)
    *read, written = (each.ctypes.data for each in values.values() if _is_array(each))
    types = {into: _TYPES[of] for of, into in _LOOP_TYPE.findall(code) if of in _TYPES}
    if base in REDUCTIONS:
        work = partial(_reduce, REDUCTIONS[base], values)
    else:
        work = partial(_elementwise, base, values, types)
    return Operation(name, work, reads=frozenset(read), writes=frozenset([written]))


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)


def _arguments(code: str, name: str, parameters: Any) -> dict[str, Any]:
    """Return arguments by name: views of memory, shapes of indexers, scalars."""
    signature = re.search(_SIGNATURE.format(name), code)
    if signature is None:
        raise UnknownKernelError(f"the parameters of CuPy's kernel {name} cannot be found")
    values: dict[str, Any] = {}
    for i, text in enumerate(re.split(r",\s*(?![^<]*>)", signature[1])):
        parameter = _PARAMETER.match(text.strip())
        if parameter is None or not {parameter[1], parameter[4]} <= {None, *_TYPES}:
            raise UnknownKernelError(f"CuPy's kernel {name} has the parameter {text!r}")
        element, dimensions, indexed, scalar, called = parameter.groups()
        if element:
            n = int(dimensions)
            start, _, *rest = _numbers(parameters[i], 2 + 2 * n)  # of a CArray
            values[called] = view(
                start, tuple(rest[:n]), np.dtype(_TYPES[element]), tuple(rest[n:])
            )
        elif indexed:
            values[called] = tuple(_numbers(parameters[i], 1 + int(indexed))[1:])
        else:
            dtype = np.dtype(_TYPES[scalar])
            raw = ctypes.string_at(parameters[i], dtype.itemsize)
            values[called] = np.frombuffer(raw, dtype)[0]
    return values


def _numbers(address: int, count: int) -> list[int]:
    return list((ctypes.c_int64 * count).from_address(address))


def _elementwise(base: str, values: dict[str, Any], types: dict[str, Any]) -> None:
    """Call a NumPy function; the last argument before the indexer is its result."""
    *names, result = (name for name in values if name != "_ind")
    inputs = [
        np.asarray(values[name]).astype(types.get(name, values[name].dtype)) for name in names
    ]
    if base == "arange":
        inputs.append(np.arange(*values["_ind"]))
    with np.errstate(all="ignore"):
        values[result][...] = ELEMENTWISE[base](*inputs)


def _reduce(function: Callable[..., Any], values: dict[str, Any]) -> None:
    """Reduce the first axes of an array, which CuPy has put there, and keep the last ones."""
    array, result, *_ = values.values()
    rows = array.reshape(-1, max(1, result.size))
    result[...] = function(rows, axis=0).reshape(result.shape)
