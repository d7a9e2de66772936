"""The transforms of a convolution by minimal filtering, a vector of channels at a time.

``y = A'[(G w G') * (B' x B)]A`` gives the 2x2 outputs y of a kernel w of 3x3 on 4x4 pixels x with
16 multiplications, elementwise, instead of 36: F(2x2, 3x3) of Winograd (1980), in the form of Lavin
& Gray, "Fast algorithms for convolutional neural networks" (2015). The transposed matrices give the
gradients.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from nnkit.kernels.numba.codegen.vectors import I64, Vectors, pointer

Matrix = tuple[tuple[float, ...], ...]
Grid = list[list[Any]]

IMAGE: Matrix = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, -1, 0, 1))
KERNEL: Matrix = ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))
OUTPUT: Matrix = ((1, 1, 1, 0), (0, 1, -1, 1))
"""B', G and A'."""


def _transposed(matrix: Matrix) -> Matrix:
    return tuple(zip(*matrix, strict=True))


def _combined(vector: Any, factors: tuple[float, ...], values: list[Any]) -> Any:
    """The sum of values times 1, -1, a half or nothing; the first that counts is not negative."""
    builder, total = vector.builder, None
    for factor, value in sorted(zip(factors, values, strict=True), key=lambda pair: pair[0] < 0):
        if factor == 0:
            continue
        size = ir.Constant(vector.kind, [abs(factor)] * vector.lanes)
        term = value if abs(factor) == 1 else builder.fmul(value, size)
        if total is None:
            total = term
        else:
            total = builder.fadd(total, term) if factor > 0 else builder.fsub(total, term)
    return total


def _transform(vector: Any, matrix: Matrix, grid: Grid) -> Grid:
    """``matrix @ grid @ matrix'``."""
    columns = [
        [_combined(vector, factors, list(column)) for factors in matrix]
        for column in zip(*grid, strict=True)
    ]
    return [
        [_combined(vector, factors, list(row)) for factors in matrix]
        for row in zip(*columns, strict=True)
    ]


def _places(builder: Any, first: Any, size: int, down: Any, right: Any) -> Iterator[Any]:
    """Pointers to the elements of a square, row by row."""
    for i in range(size):
        row = builder.gep(first, [builder.mul(I64(i), down)])
        for j in range(size):
            yield builder.gep(row, [builder.mul(I64(j), right)])


def _read(vector: Any, first: Any, size: int, down: Any, right: Any) -> Grid:
    values = [
        vector.load(place, 0, False) for place in _places(vector.builder, first, size, down, right)
    ]
    return [values[i : i + size] for i in range(0, size * size, size)]


def _write(vector: Any, grid: Grid, first: Any, down: Any, right: Any) -> None:
    """Write a square, the first element last: where a distance is 0, it is what remains."""
    places = list(_places(vector.builder, first, len(grid), down, right))
    values = [value for row in grid for value in row]
    for value, place in reversed(list(zip(values, places, strict=True))):
        vector.store(value, place, 0, False)


def _transforming(matrix: Matrix, add: bool = False) -> Any:
    """Make the function that transforms squares of vectors."""

    @intrinsic
    def transform(
        _context: Any,
        source: Any,
        at: Any,
        down: Any,
        right: Any,
        out: Any,
        out_at: Any,
        out_down: Any,
        out_right: Any,
    ) -> Any:
        """Transform a square of vectors of a flat array to one of another, or add to that.

        A square begins `at` an element; its rows are at a distance of `down`, its columns of
        `right`. In a source, a distance of 0 says that what lies there counts as zero.
        """

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kinds = signature.args
            vector = Vectors(context, builder, kinds[0], I64(0))
            first = pointer(context, builder, kinds[0], args[0], args[1])
            target = pointer(context, builder, kinds[4], args[4], args[5])
            grid = _read(vector, first, len(matrix[0]), *args[2:4])
            if len(matrix[0]) == len(OUTPUT):
                grid = _inside(vector, grid, *args[2:4])
            result = _transform(vector, matrix, grid)
            if add:
                before = _read(vector, target, len(result), *args[6:])
                pairs = (zip(*rows, strict=True) for rows in zip(before, result, strict=True))
                result = [[builder.fadd(a, b) for a, b in row] for row in pairs]
            _write(vector, result, target, *args[6:])
            return context.get_dummy_value()

        whole = types.int64
        return types.void(source, whole, whole, whole, out, whole, whole, whole), generate

    return transform


def _inside(vector: Any, grid: Grid, down: Any, right: Any) -> Grid:
    """A square of 2x2, where a distance of 0 stands for what lies outside the output: zeros."""
    builder = vector.builder
    below, beside = (builder.icmp_signed("!=", step, I64(0)) for step in (down, right))
    wanted = [[None, beside], [below, builder.and_(below, beside)]]
    return [
        [value if want is None else builder.select(want, value, vector.zero) for want, value in row]
        for row in (zip(*rows, strict=True) for rows in zip(wanted, grid, strict=True))
    ]


image_to_tile = _transforming(IMAGE)
tile_to_image = _transforming(_transposed(IMAGE), add=True)
kernel_to_tile = _transforming(KERNEL)
tile_to_kernel = _transforming(_transposed(KERNEL))
output_to_tile = _transforming(_transposed(OUTPUT))


def _outputs(context: Any, builder: Any, kinds: Any, args: Any) -> tuple[Any, Grid, Any]:
    """The outputs of a tile, and a function that gives ``max(output + bias, floor)``, or NaN."""
    vector = Vectors(context, builder, kinds[0], I64(0))
    tile, at, step, bias, bias_at, floor = args
    first = pointer(context, builder, kinds[0], tile, at)
    grid = _read(vector, first, len(IMAGE), builder.mul(I64(len(IMAGE)), step), step)
    bias = vector.load(pointer(context, builder, kinds[3], bias, bias_at), 0, False)
    low = vector.spread(floor)

    def finished(value: Any) -> Any:
        value = builder.fadd(value, bias)
        return builder.select(builder.fcmp_ordered("<", value, low), low, value)

    return vector, _transform(vector, OUTPUT, grid), finished


@intrinsic
def tile_to_output(
    _context: Any,
    tile: Any,
    at: Any,
    step: Any,
    bias: Any,
    bias_at: Any,
    floor: Any,
    y: Any,
    y_at: Any,
    down: Any,
    right: Any,
) -> Any:
    """Write the 2x2 outputs of a tile, whose elements are `step` apart, with bias and floor.

    A distance of 0 between them says that they are not wanted.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector, grid, finished = _outputs(context, builder, signature.args, args[:6])
        grid = [[finished(value) for value in row] for row in grid]
        first = pointer(context, builder, signature.args[6], args[6], args[7])
        _write(vector, grid, first, *args[8:])
        return context.get_dummy_value()

    whole = types.int64
    arrays = tile, whole, whole, bias, whole, tile.dtype, y, whole
    return types.void(*arrays, whole, whole), generate


@intrinsic
def tile_to_largest(
    _context: Any,
    tile: Any,
    at: Any,
    step: Any,
    bias: Any,
    bias_at: Any,
    floor: Any,
    y: Any,
    place: Any,
    y_at: Any,
) -> Any:
    """Do as `tile_to_output`, but write the largest output, or the first NaN, and its number."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector, grid, finished = _outputs(context, builder, signature.args, args[:6])
        numbers = ir.VectorType(ir.IntType(8 * vector.size), vector.lanes)
        best, number = grid[0][0], ir.Constant(numbers, [0] * vector.lanes)
        for i, value in enumerate((grid[0][1], *grid[1]), 1):
            larger = builder.and_(
                builder.not_(builder.fcmp_ordered("<=", value, best)),
                builder.fcmp_ordered("==", best, best),
            )
            best = builder.select(larger, value, best)
            number = builder.select(larger, ir.Constant(numbers, [i] * vector.lanes), number)
        kinds = signature.args
        vector.store(
            finished(best), pointer(context, builder, kinds[6], args[6], args[8]), 0, False
        )
        where = pointer(context, builder, kinds[7], args[7], args[8])
        bytes_of = ir.VectorType(ir.IntType(8), vector.lanes)
        where = builder.bitcast(where, bytes_of.as_pointer())
        builder.store(builder.trunc(number, bytes_of), where).align = 1
        return context.get_dummy_value()

    whole = types.int64
    return types.void(tile, whole, whole, bias, whole, tile.dtype, y, place, whole), generate


@intrinsic
def largest_to_tile(
    _context: Any, dy: Any, place: Any, at: Any, tile: Any, tile_at: Any, step: Any
) -> Any:
    """Do as `output_to_tile` for a gradient that only the output with this number has."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        vector = Vectors(context, builder, kinds[0], I64(0))
        value = vector.load(pointer(context, builder, kinds[0], args[0], args[2]), 0, False)
        bytes_of = ir.VectorType(ir.IntType(8), vector.lanes)
        where = pointer(context, builder, kinds[1], args[1], args[2])
        number = builder.load(builder.bitcast(where, bytes_of.as_pointer()))
        number.align = 1
        numbers = ir.VectorType(ir.IntType(8 * vector.size), vector.lanes)
        number = builder.zext(number, numbers)
        values = []
        for i in range(len(OUTPUT) ** 2):
            here = builder.icmp_signed("==", number, ir.Constant(numbers, [i] * vector.lanes))
            values.append(builder.select(here, value, vector.zero))
        result = _transform(vector, _transposed(OUTPUT), [values[:2], values[2:]])
        target = pointer(context, builder, kinds[3], args[3], args[4])
        _write(vector, result, target, builder.mul(I64(len(IMAGE)), args[5]), args[5])
        return context.get_dummy_value()

    whole = types.int64
    return types.void(dy, place, whole, tile, whole, whole), generate
