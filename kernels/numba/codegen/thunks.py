"""Native functions that all take the same arguments, each calling one compiled kernel.

A thunk rebuilds the kernel's arguments from a list of integers (array addresses, array shapes,
whole numbers) and one of reals. It depends on the kernel and its argument types only, and serves
every network: it is compiled with the kernel, and kept on disk with it. The kernel's last argument,
an array of int64, is not in the lists: each caller has its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

from nnkit.kernels.numba.codegen.signatures import kind_of, signature_of

OWN_SIZE = 4
"""Numbers in the caller's own array."""
I64 = ir.IntType(64)
THUNK = ir.FunctionType(
    ir.VoidType(), [I64.as_pointer(), ir.DoubleType().as_pointer(), I64.as_pointer()]
)
"""Integers, reals, and the caller's own array."""


@intrinsic
def invoke(_context: Any, thunk: Any, ints: Any, reals: Any, own: Any) -> Any:
    """Call the thunk at an address; the arguments are addresses too."""

    def generate(context: Any, builder: Any, _signature: Any, addresses: Any) -> Any:
        kinds = THUNK.as_pointer(), *THUNK.args
        function, *arguments = map(builder.inttoptr, addresses, kinds)
        builder.call(function, arguments)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), generate


def pack(arguments: tuple[Any, ...]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Make the lists of integers and of reals for one call; `_Slots` reads them."""
    ints: list[int] = []
    reals: list[float] = []
    for value in arguments:
        if isinstance(value, np.ndarray):
            ints += [value.ctypes.data, *value.shape]
        elif isinstance(value, bool | int | np.integer | np.bool_):
            ints.append(int(value))
        elif isinstance(value, float | np.floating):
            reals.append(float(value))
    return np.array([*ints, 0], np.int64), np.array([*reals, 0.0])


_found: dict[Any, int] = {}


def find_thunk(function: Any, arguments: tuple[Any, ...], own: np.ndarray[Any, Any]) -> int:
    """Return the address of the thunk of a kernel for such arguments, compiled at the first call.

    It is found by what NumPy says of them: Numba is slower. `own` is an array like each caller's.
    Raises TypeError for what has no thunk.
    """
    key = function, *map(kind_of, arguments)
    if key not in _found:
        signature = signature_of((*arguments, own))
        function.compile(signature)
        compiled = function.overloads[signature]  # which the function keeps, and we keep that
        address = compiled.library.get_pointer_to_function(_name(compiled.fndesc))
        if not address:
            raise TypeError("only kernels made by `shared` can be put on a tape")
        _found[key] = address
    return _found[key]


def _name(description: Any) -> str:
    return f"nnkit_thunk.{description.llvm_func_name}"


def add_thunk(context: Any, library: Any, description: Any) -> None:
    """Write the thunk of a kernel that is being compiled into the kernel's library."""
    module = context.create_module("thunk")
    function = ir.Function(module, THUNK, _name(description))
    builder = ir.IRBuilder(function.append_basic_block())
    ints, reals, own = function.args
    slots = _Slots(context, builder, ints, reals)
    values = [slots.value(kind) for kind in description.argtypes[:-1]]
    values.append(slots.array(description.argtypes[-1], own, [I64(OWN_SIZE)]))
    convention, result, given = context.call_conv, description.restype, description.argtypes
    kind = convention.get_function_type(result, given)
    callee = ir.Function(module, kind, description.llvm_func_name)
    convention.call_function(builder, callee, result, given, values, attrs=("noinline",))
    builder.ret_void()
    library.add_ir_module(module)


class _Slots:
    """Code that reads a kernel's arguments one after the other."""

    def __init__(self, context: Any, builder: Any, ints: Any, reals: Any) -> None:
        self.context, self.builder = context, builder
        self.ints, self.reals = ints, reals
        self.n_ints = self.n_reals = 0

    def value(self, kind: Any) -> Any:
        """The next argument, of this Numba type."""
        builder = self.builder
        if isinstance(kind, types.Array):
            address = self._int()
            return self.array(kind, address, [self._int() for _ in range(kind.ndim)])
        if isinstance(kind, types.Boolean):
            return builder.icmp_signed("!=", self._int(), I64(0))
        if isinstance(kind, types.Integer):
            value = self._int()
            return value if kind.bitwidth == 64 else builder.trunc(value, ir.IntType(kind.bitwidth))
        if isinstance(kind, types.Float):
            value = self._real()
            return value if kind.bitwidth == 64 else builder.fptrunc(value, ir.FloatType())
        if isinstance(kind, types.NoneType):
            return self.context.get_dummy_value()
        raise TypeError(f"a kernel argument of type {kind} cannot be put on a tape")

    def array(self, kind: Any, address: Any, shape: list[Any]) -> Any:
        """A C-contiguous array, at an address or a pointer."""
        builder, context = self.builder, self.context
        array = make_array(kind)(context, builder)
        if address.type == I64:
            address = builder.inttoptr(address, array.data.type)
        size = I64(context.get_abi_sizeof(context.get_data_type(kind.dtype)))
        strides = [size]
        for extent in shape[:0:-1]:
            strides.insert(0, builder.mul(strides[0], extent))
        populate_array(
            array,
            data=address,
            shape=cgutils.pack_array(builder, shape),
            strides=cgutils.pack_array(builder, strides),
            itemsize=size,
            meminfo=None,
        )
        return array._getvalue()

    def _int(self) -> Any:
        self.n_ints += 1
        return self.builder.load(self.builder.gep(self.ints, [I64(self.n_ints - 1)]))

    def _real(self) -> Any:
        self.n_reals += 1
        return self.builder.load(self.builder.gep(self.reals, [I64(self.n_reals - 1)]))
