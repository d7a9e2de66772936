"""Copying parts of matrices a vector at a time, for products to read."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from nnkit.kernels.numba.codegen.tile import TILE_ROWS
from nnkit.kernels.numba.codegen.vectors import I64, Vectors, chosen, first_rows, pointer


@intrinsic
def move(_context: Any, source: Any, source_at: Any, columns: Any, out: Any, out_at: Any) -> Any:
    """Copy a vector between flat arrays. So many elements of it are read; the others are zeros."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        source = pointer(context, builder, kinds[0], args[0], args[1])
        out = pointer(context, builder, kinds[3], args[3], args[4])
        vector = Vectors(context, builder, kinds[0], args[2])
        vector.store(vector.load(source, 0, True), out, 0, False)
        return context.get_dummy_value()

    return types.void(source, types.int64, types.int64, out, types.int64), generate


@intrinsic
def move_row(
    _context: Any, vectors: Any, source: Any, source_at: Any, out: Any, out_at: Any, ahead: Any
) -> Any:
    """Copy as many vectors as a tile may have between flat arrays; fetch what is so far ahead."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        source = pointer(context, builder, kinds[1], args[1], args[2])
        out = pointer(context, builder, kinds[3], args[3], args[4])
        vector = Vectors(context, builder, kinds[1], I64(0))
        for width in chosen(builder, args[0], TILE_ROWS):
            vector.prefetch(source, args[5], width)
            row = [vector.load(source, j, False) for j in range(width)]
            for j in range(width):
                vector.store(row[j], out, j, False)
        return context.get_dummy_value()

    whole = types.int64
    return types.void(whole, source, whole, out, whole, whole), generate


@intrinsic
def move_four(
    _context: Any, count: Any, source: Any, source_at: Any, out: Any, out_at: Any, apart: Any
) -> Any:
    """Copy four times as many numbers as a tile may have rows to four places that are `apart`."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        source = pointer(context, builder, kinds[1], args[1], args[2])
        out = pointer(context, builder, kinds[3], args[3], args[4])
        real = context.get_data_type(kinds[1].dtype)
        size = context.get_abi_sizeof(real)
        for number in chosen(builder, args[0], sorted({*TILE_ROWS.values()})):
            kind = ir.VectorType(real, number).as_pointer()
            for i in range(4):
                numbers = builder.load(
                    builder.bitcast(builder.gep(source, [I64(i * number)]), kind)
                )
                numbers.align = size
                target = builder.gep(out, [builder.mul(I64(i), args[5])])
                builder.store(numbers, builder.bitcast(target, kind)).align = size
        return context.get_dummy_value()

    whole = types.int64
    return types.void(whole, source, whole, out, whole, whole), generate


@intrinsic
def add_vector(_context: Any, source: Any, source_at: Any, out: Any, out_at: Any) -> Any:
    """Add a vector of a flat array to one of another."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _add(context, builder, signature.args, (*args[:2], None, *args[2:]))
        return context.get_dummy_value()

    return types.void(source, types.int64, out, types.int64), generate


@intrinsic
def add_part(_context: Any, source: Any, source_at: Any, count: Any, out: Any, out_at: Any) -> Any:
    """Add so many elements of a vector of a flat array to those of another."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = *signature.args[:2], *signature.args[3:]
        _add(context, builder, kinds, args)
        return context.get_dummy_value()

    return types.void(source, types.int64, types.int64, out, types.int64), generate


def _add(context: Any, builder: Any, kinds: Any, args: Any) -> None:
    """Add a vector, or the part of it that is counted, to another."""
    source, source_at, count, out, out_at = args
    masked = count is not None
    first = pointer(context, builder, kinds[0], source, source_at)
    second = pointer(context, builder, kinds[2], out, out_at)
    vector = Vectors(context, builder, kinds[0], count if masked else I64(0))
    total = builder.fadd(vector.load(second, 0, masked), vector.load(first, 0, masked))
    vector.store(total, second, 0, masked)


@intrinsic
def turn(
    _context: Any,
    source: Any,
    source_at: Any,
    source_row: Any,
    rows: Any,
    columns: Any,
    out: Any,
    out_at: Any,
    out_row: Any,
) -> Any:
    """Transpose a square of a flat array into another, both as wide as a vector.

    Of the source, so many rows and columns are read; all of the result is written.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        source = pointer(context, builder, kinds[0], args[0], args[1])
        out = pointer(context, builder, kinds[5], args[5], args[6])
        vector = Vectors(context, builder, kinds[0], args[4])
        lanes = vector.lanes
        square = [
            vector.load(builder.gep(source, [builder.mul(number, args[2])]), 0, True)
            for number in first_rows(builder, lanes, args[3])
        ]
        for _ in range(lanes.bit_length() - 1):
            half = lanes // 2
            square = [
                vector.interleave(square[i], square[i + half], upper)
                for i in range(half)
                for upper in (False, True)
            ]
        for i in range(lanes):
            place = builder.gep(out, [builder.mul(I64(i), args[7])])
            vector.store(square[i], place, 0, False)
        return context.get_dummy_value()

    whole = types.int64
    return types.void(source, whole, whole, whole, whole, out, whole, whole), generate
