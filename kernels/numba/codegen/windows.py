"""The inner loops of pooling: along a run of elements, something of all that their windows see.

Written in LLVM's language, so that what a vector has found so far stays in registers while its
window is gone through. A run is of places some distance apart, whose windows see the same, moved on
with them; a place is of elements side by side. Vectors are as wide as a register if a place is that
large, else a power of two; the last one ends where the place does and may overlap the one before.
So there are no masks, and nothing is read or written but what the run is of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nnkit.kernels.numba.codegen.processor import REGISTER_BYTES
from nnkit.kernels.numba.codegen.vectors import I64, pointer

_I32 = ir.IntType(32)
RUN = 4
"""Numbers that tell what a run is: the elements of a place, how many places there are, how far
apart they are, and how far what they see moves from one to the next."""
TAPS = 7
"""Numbers that tell what a window sees: of rows how many, how far apart, and how far apart their
numbers are; the same of columns; and the number of the first."""

Values = list[Any]


class Lanes:
    """Code for so many elements of a real type, and for as many integers of its size."""

    def __init__(self, context: Any, builder: Any, kind: Any, lanes: int) -> None:
        self.builder, self.lanes = builder, lanes
        self.real = context.get_data_type(kind.dtype)
        self.whole = ir.IntType(8 * context.get_abi_sizeof(self.real))
        self.reals, self.wholes = (ir.VectorType(t, lanes) for t in (self.real, self.whole))
        self.zero = ir.Constant(self.reals, [0.0] * lanes)
        self.lowest = ir.Constant(self.reals, [float("-inf")] * lanes)

    def spread(self, value: Any) -> Any:
        """A vector of copies of one value."""
        nothing = ir.Constant(ir.VectorType(value.type, self.lanes), ir.Undefined)
        one = self.builder.insert_element(nothing, value, _I32(0))
        first = ir.Constant(ir.VectorType(_I32, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(one, nothing, first)

    def numbers(self, value: Any) -> Any:
        """Copies of an integer of 64 bits, each as large as an element."""
        fits = value.type == self.whole
        return self.spread(value if fits else self.builder.trunc(value, self.whole))

    def load(self, place: Any) -> Any:
        """Elements from a pointer on; integers become as large as reals."""
        kind = ir.VectorType(place.type.pointee, self.lanes)
        value = self.builder.load(self.builder.bitcast(place, kind.as_pointer()))
        value.align = 1
        is_whole = isinstance(place.type.pointee, ir.IntType) and kind != self.wholes
        return self.builder.zext(value, self.wholes) if is_whole else value

    def store(self, value: Any, place: Any) -> None:
        """Write elements from a pointer on; integers become as small as what is there."""
        kind = ir.VectorType(place.type.pointee, self.lanes)
        if isinstance(place.type.pointee, ir.IntType) and kind != self.wholes:
            value = self.builder.trunc(value, kind)
        self.builder.store(value, self.builder.bitcast(place, kind.as_pointer())).align = 1


def _gone_through(
    builder: Any, taps: Values, first: Values, visit: Callable[[Values, Any, Any], Values]
) -> Values:
    """Visit all that a window sees, row by row, with what was found so far, its place and number.

    The place is relative to that of the first.
    """
    rows, row_step, row_number, columns, column_step, column_number, number = taps
    found = [cgutils.alloca_once_value(builder, value) for value in first]
    with cgutils.for_range(builder, rows) as row:
        place = builder.mul(row.index, row_step)
        start = builder.add(number, builder.mul(row.index, row_number))
        with cgutils.for_range(builder, columns) as column:
            here = builder.add(place, builder.mul(column.index, column_step))
            this = builder.add(start, builder.mul(column.index, column_number))
            now = visit([builder.load(value) for value in found], here, this)
            for value, slot in zip(now, found, strict=True):
                builder.store(value, slot)
    return [builder.load(value) for value in found]


def _largest(lanes: Lanes, taps: Values, source: Values, out: Values, _: Values) -> None:
    builder = lanes.builder
    (x,), (y, place) = source, out

    def visit(found: Values, here: Any, number: Any) -> Values:
        value = lanes.load(builder.gep(x, [here]))
        larger = builder.fcmp_unordered(">", value, found[0])
        better = builder.and_(larger, builder.fcmp_ordered("ord", found[0], found[0]))
        better_number = builder.select(better, lanes.numbers(number), found[1])
        return [builder.select(better, value, found[0]), better_number]

    first = [lanes.lowest, lanes.numbers(taps[-1])]
    for value, at in zip(_gone_through(builder, taps, first, visit), (y, place), strict=True):
        lanes.store(value, at)


def _chosen(lanes: Lanes, taps: Values, source: Values, out: Values, _: Values) -> None:
    builder = lanes.builder
    dy, place = source

    def visit(found: Values, here: Any, number: Any) -> Values:
        value, at = lanes.load(builder.gep(dy, [here])), lanes.load(builder.gep(place, [here]))
        is_here = builder.icmp_signed("==", at, lanes.numbers(number))
        return [builder.fadd(found[0], builder.select(is_here, value, lanes.zero))]

    lanes.store(_gone_through(builder, taps, [lanes.zero], visit)[0], out[0])


def _mean(lanes: Lanes, taps: Values, source: Values, out: Values, others: Values) -> None:
    builder = lanes.builder

    def visit(found: Values, here: Any, _: Any) -> Values:
        return [builder.fadd(found[0], lanes.load(builder.gep(source[0], [here])))]

    total = _gone_through(builder, taps, [lanes.zero], visit)[0]
    lanes.store(builder.fdiv(total, lanes.spread(others[0])), out[0])


def _along_a_run(
    context: Any, builder: Any, kind: Any, work: Any, run: Values, taps: Values, *arrays: Values
) -> None:
    """Do a vector's work all along a run, by vectors of the width that suits its places."""
    size, places, apart, move = run
    done = builder.append_basic_block("done")
    width = REGISTER_BYTES // context.get_abi_sizeof(context.get_data_type(kind.dtype))
    while width:
        wide, narrow = (builder.append_basic_block(name) for name in ("wide", "narrow"))
        builder.cbranch(builder.icmp_signed(">=", size, I64(width)), wide, narrow)
        builder.position_at_end(wide)
        lanes = Lanes(context, builder, kind, width)
        with cgutils.for_range(builder, places) as place:
            source, out = (
                [builder.gep(array, [builder.mul(place.index, distance)]) for array in part]
                for part, distance in zip(arrays, (move, apart), strict=False)
            )
            _along_a_place(lanes, work, size, taps, source, out, arrays[2])
        builder.branch(done)
        builder.position_at_end(narrow)
        width //= 2
    builder.branch(done)
    builder.position_at_end(done)


def _along_a_place(
    lanes: Lanes, work: Any, size: Any, taps: Values, source: Values, out: Values, others: Values
) -> None:
    builder, width = lanes.builder, I64(lanes.lanes)
    last = builder.sub(size, width)
    vectors = builder.sdiv(builder.add(size, I64(lanes.lanes - 1)), width)
    with cgutils.for_range(builder, vectors) as vector:
        start = builder.mul(vector.index, width)
        start = builder.select(builder.icmp_signed("<", start, last), start, last)
        there = ([builder.gep(array, [start]) for array in part] for part in (source, out))
        work(lanes, taps, *there, others)


def _intrinsic(work: Any, description: str) -> Any:
    """Make the function of (inputs, where in them, outputs, where, others, run, taps)."""

    def along(
        _context: Any,
        source: Any,
        at: Any,
        out: Any,
        out_at: Any,
        others: Any,
        size: Any,
        taps: Any,
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kinds = signature.args
            unpacked = [cgutils.unpack_tuple(builder, args[i]) for i in (0, 2, 4, 5, 6)]
            sources, outs = (
                [
                    pointer(context, builder, kind, array, args[i + 1])
                    for kind, array in zip(kinds[i], unpacked[i // 2], strict=True)
                ]
                for i in (0, 2)
            )
            arrays = sources, outs, unpacked[2]
            _along_a_run(context, builder, kinds[0][0], work, *unpacked[3:], *arrays)
            return context.get_dummy_value()

        whole = types.int64
        numbers = types.UniTuple(whole, RUN), types.UniTuple(whole, TAPS)
        kinds = source, whole, out, whole, others, *numbers
        return types.void(*kinds), generate

    along.__doc__ = description
    return intrinsic(along)


largest_along = _intrinsic(
    _largest, "Largest of each window of x, and its number: (x,), (y, place)."
)
chosen_along = _intrinsic(
    _chosen, "Sum of dy where the place is the number by which it is seen: (dy, place), (dx,)."
)
mean_along = _intrinsic(_mean, "Sum of each window, divided by `others[0]`: (x,), (y,).")
