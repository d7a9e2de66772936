"""A captured training step: a tape of kernel calls, replayed by one compiled interpreter.

An instruction is a compiled kernel, the arguments of one call, and how many threads carry it out:
the address of a *thunk*, of its integers (array addresses, array shapes, whole numbers) and of its
reals. A thunk is a small native function that rebuilds a kernel's arguments and calls it; it
depends on the kernel and its argument types only, takes some milliseconds to make and serves every
network of the process. So the interpreter, kept in the on-disk cache, runs any network, and an
instruction costs it about 7 ns.
"""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.np.arrayobj import make_array, populate_array

from nnkit.kernels.numba import threads
from nnkit.kernels.numba.pace import Pace
from nnkit.kernels.numba.team import ALONE

WORTH_A_TEAM = 16
"""Grains that the largest kernel of a tape needs for a team to be faster than one thread. Waking it
takes up to 50 us, and what one core has written another must fetch from the third-level cache."""

I64 = ir.IntType(64)
THUNK = ir.FunctionType(
    ir.VoidType(), [I64.as_pointer(), ir.DoubleType().as_pointer(), I64.as_pointer()]
)


class Tape:
    """Kernel calls to be repeated. It keeps the arrays alive whose addresses it holds."""

    def __init__(self) -> None:
        self._instructions: list[tuple[int, int, int, int]] = []
        self._kept: list[Any] = []
        self._compiled: np.ndarray[Any, Any] | None = None
        self._team = 1

    def __len__(self) -> int:
        return len(self._instructions)

    def append(self, function: Any, arguments: tuple[Any, ...], members: int, grains: int) -> None:
        """Add a call of a compiled kernel, by a team if one carries out the tape.

        Arrays must be C-contiguous (ValueError). `grains` tells how much work it is.
        """
        if not dense(arguments):
            raise ValueError("a kernel on a tape takes C-contiguous arrays")
        ints: list[int] = []
        reals: list[float] = []
        for value in arguments:
            if isinstance(value, np.ndarray):
                ints += [value.ctypes.data, *value.shape]
            elif isinstance(value, bool | int | np.integer | np.bool_):
                ints.append(int(value))
            elif isinstance(value, float | np.floating):
                reals.append(float(value))
        slots = np.array([*ints, 0], np.int64), np.array([*reals, 0.0])
        thunk = _find_thunk(function, arguments)
        addresses = thunk.address, slots[0].ctypes.data, slots[1].ctypes.data
        self._instructions.append((*addresses, members))
        self._kept += [arguments, slots, thunk]
        if grains >= WORTH_A_TEAM:
            self._team = max(self._team, members)
        self._compiled = None

    def run(self, times: int) -> None:
        """Carry out all instructions in order, `times` times, without the interpreter lock."""
        if self._compiled is None:
            self._compiled = np.array(self._instructions, np.int64).reshape(-1, 4)
            self._pace = Pace(self._team)
        while times:
            members, now = self._pace.choose(times)
            start = time.perf_counter()
            threads.carry_out(self._compiled, now, members)
            self._pace.note(members, now, time.perf_counter() - start)
            times -= now


class _Thunk:
    """A native ``void(int64*, double*, int64* team)`` that calls one kernel."""

    def __init__(self, function: Any, signature: tuple[Any, ...]) -> None:
        self._compiled = function.overloads[signature]
        self._library = _build(self._compiled)
        self.address = self._library.get_pointer_to_function("nnkit_thunk")


def dense(arguments: tuple[Any, ...]) -> bool:
    """Whether all arrays among the arguments are C-contiguous."""
    return all(a.flags.c_contiguous for a in arguments if isinstance(a, np.ndarray))


_found: dict[Any, _Thunk] = {}


def _find_thunk(function: Any, arguments: tuple[Any, ...]) -> _Thunk:
    """Return the thunk for such arguments, found by what NumPy says of them: Numba is slower."""
    key = function, *(_kind(argument) for argument in arguments)
    if key not in _found:
        signature = tuple(function.typeof_pyval(a) for a in (*arguments, ALONE))
        function.compile(signature)
        _found[key] = _thunk(function, signature)
    return _found[key]


def _kind(argument: Any) -> Any:
    if isinstance(argument, np.ndarray):
        return argument.dtype, argument.ndim, argument.flags.num
    return type(argument)


@cache
def _thunk(function: Any, signature: tuple[Any, ...]) -> _Thunk:
    return _Thunk(function, signature)


@global_compiler_lock
def _build(compiled: Any) -> Any:
    """Make the library that holds the thunk of a compiled kernel."""
    context = cpu_target.target_context
    description = compiled.fndesc
    library = context.codegen().create_library("nnkit_thunk")
    module = library.create_ir_module("nnkit_thunk")
    function = ir.Function(module, THUNK, "nnkit_thunk")
    builder = ir.IRBuilder(function.append_basic_block())
    slots = _Slots(context, builder, *function.args)
    values = [slots.value(kind) for kind in description.argtypes[:-1]]
    values.append(slots.team(description.argtypes[-1]))
    convention = context.call_conv
    kind = convention.get_function_type(description.restype, description.argtypes)
    address = compiled.library.get_pointer_to_function(description.llvm_func_name)
    callee = builder.inttoptr(I64(address), kind.as_pointer())
    convention.call_function(builder, callee, description.restype, description.argtypes, values)
    builder.ret_void()
    library.add_ir_module(module)
    library.finalize()
    return library


class _Slots:
    """Code that reads a kernel's arguments one after the other."""

    def __init__(self, context: Any, builder: Any, ints: Any, reals: Any, team: Any) -> None:
        self.context, self.builder = context, builder
        self.ints, self.reals, self._team = ints, reals, team
        self.n_ints = self.n_reals = 0

    def value(self, kind: Any) -> Any:
        """The next argument, of this Numba type."""
        builder = self.builder
        if isinstance(kind, types.Array):
            return self._array(kind)
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

    def _int(self) -> Any:
        self.n_ints += 1
        return self.builder.load(self.builder.gep(self.ints, [I64(self.n_ints - 1)]))

    def _real(self) -> Any:
        self.n_reals += 1
        return self.builder.load(self.builder.gep(self.reals, [I64(self.n_reals - 1)]))

    def team(self, kind: Any) -> Any:
        """The team, which is not in the slots: each member has its own."""
        return self._fill(kind, self._team, [I64(ALONE.size)])

    def _array(self, kind: Any) -> Any:
        address = self._int()
        return self._fill(kind, address, [self._int() for _ in range(kind.ndim)])

    def _fill(self, kind: Any, address: Any, shape: list[Any]) -> Any:
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
