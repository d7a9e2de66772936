"""Reading and writing numbers that other threads write and read meanwhile.

They are int64: `place` counts them from an address.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nnkit.kernels.numba.codegen.processor import MACHINE

ORDER = "seq_cst"

_I64 = ir.IntType(64)
_RELAX = {
    "x86_64": ("llvm.x86.sse2.pause", ()),
    "amd64": ("llvm.x86.sse2.pause", ()),
    "aarch64": ("llvm.aarch64.isb", (15,)),
    "arm64": ("llvm.aarch64.isb", (15,)),
}
"""What tells a processor that its thread is waiting, and the argument that this takes.

ARM's own hint, YIELD, takes no time on most of them; ISB takes about as long as x86's PAUSE, which
is why Rust's ``spin_loop`` is one, too.
"""


def _pointer(builder: Any, address: Any, place: Any) -> Any:
    return builder.gep(builder.inttoptr(address, _I64.as_pointer()), [place])


@intrinsic
def atomic_load(_context: Any, address: Any, place: Any) -> Any:
    """Read a number."""

    def generate(_target: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.load_atomic(_pointer(builder, *args), ORDER, 8)

    return types.int64(types.int64, types.int64), generate


@intrinsic
def atomic_store(_context: Any, address: Any, place: Any, value: Any) -> Any:
    """Write a number."""

    def generate(target: Any, builder: Any, _signature: Any, args: Any) -> Any:
        *where, value = args
        builder.store_atomic(value, _pointer(builder, *where), ORDER, 8)
        return target.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@intrinsic
def atomic_add(_context: Any, address: Any, place: Any, value: Any) -> Any:
    """Add to a number; returns what it was."""

    def generate(_target: Any, builder: Any, _signature: Any, args: Any) -> Any:
        *where, value = args
        return builder.atomic_rmw("add", _pointer(builder, *where), value, ORDER)

    return types.int64(types.int64, types.int64, types.int64), generate


@intrinsic
def relax(_context: Any) -> Any:
    """Wait a moment, leaving the core's units to its other thread."""

    def generate(target: Any, builder: Any, _signature: Any, _args: Any) -> Any:
        name, arguments = _RELAX.get(MACHINE, ("", ()))
        if name:
            kind = ir.FunctionType(ir.VoidType(), [ir.IntType(32)] * len(arguments))
            function = cgutils.get_or_insert_function(builder.module, kind, name)
            builder.call(function, [ir.IntType(32)(a) for a in arguments])
        return target.get_dummy_value()

    return types.void(), generate


@intrinsic
def call(_context: Any, function: Any) -> Any:
    """Call the C function without arguments at an address."""

    def generate(target: Any, builder: Any, _signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), [])
        return target.get_dummy_value()

    return types.void(types.int64), generate
