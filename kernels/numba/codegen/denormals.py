"""Counting denormal numbers as zero while a kernel runs, on x86.

Gradients that vanish and averages that decay end up below 1.2e-38 (float32), and stay there:
0.9 times the smallest denormal rounds to itself. Many x86 processors take some 150 cycles for each
operation on such a number, and training slows down after some epochs. The kernels that compute
gradients or update an optimizer's state therefore flush them, as TensorFlow's do; the value lost is
below 1.2e-38. ARM processors compute with denormals at full speed, and are left alone.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nnkit.kernels.numba.codegen.processor import X86

FLUSH_TO_ZERO, DENORMALS_ARE_ZERO = 0x8000, 0x0040


def _control_register(builder: Any, instruction: str, pointer: Any) -> None:
    kind = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer()])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.sse.{instruction}")
    builder.call(function, [builder.bitcast(pointer, ir.IntType(8).as_pointer())])


@intrinsic
def flush_denormals(_context: Any) -> Any:
    """Flush denormals in this thread from here on; returns the state for `restore_denormals`."""

    def generate(_target: Any, builder: Any, _signature: Any, _args: Any) -> Any:
        if not X86:
            return ir.Constant(ir.IntType(32), 0)
        register = cgutils.alloca_once(builder, ir.IntType(32))
        _control_register(builder, "stmxcsr", register)
        before = builder.load(register)
        flush = ir.Constant(ir.IntType(32), FLUSH_TO_ZERO | DENORMALS_ARE_ZERO)
        builder.store(builder.or_(before, flush), register)
        _control_register(builder, "ldmxcsr", register)
        return before

    return types.uint32(), generate


@intrinsic
def restore_denormals(_context: Any, state: Any) -> Any:
    """Go back to what `flush_denormals` found."""

    def generate(target: Any, builder: Any, _signature: Any, args: Any) -> Any:
        if X86:
            register = cgutils.alloca_once_value(builder, args[0])
            _control_register(builder, "ldmxcsr", register)
        return target.get_dummy_value()

    return types.void(state), generate
