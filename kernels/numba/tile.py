"""The inner loop of a matrix product: one tile of the result, which stays in registers.

Written in LLVM's language, because no loop of Python's makes Numba keep a tile in registers. The
design is that of BLIS (Van Zee & van de Geijn 2015) without packing of what can be read where it
is: for each k, a few vectors of a row of b are loaded, and multiplied by one number of each row of
a. An element is the sum of ``a[i, k] * b[k, j]`` in the order of k: its bits depend neither on the
tile nor on the number of threads or rows.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from nnkit.kernels.numba.denormals import X86

_FEATURES = cpu_target.target_context.codegen().magic_tuple()[2].split(",")
REGISTER_BYTES = 64 if "+avx512f" in _FEATURES else 32 if "+avx" in _FEATURES else 16
TILE_ROWS = {1: 8, 2: 8, 3: 8, 4: 6, 5: 5, 6: 4, 7: 3}
if X86 and REGISTER_BYTES < 64:
    TILE_ROWS = {1: 8, 2: 6, 3: 4}
"""For each width of a tile, in vectors, its rows: as many as 32 or 16 vector registers hold."""

PADDED = REGISTER_BYTES == 16
"""Whether tiles read whole vectors of b only, which must be copied to longer rows for that: small
registers come without instructions for parts of them."""

_BIT, _I32, _I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)


class _Vectors:
    """Code for vectors of one real type; the last of a row of them may be part of one."""

    def __init__(self, context: Any, builder: Any, array: Any, last: Any) -> None:
        self.builder = builder
        self.real = context.get_data_type(array.dtype)
        self.size = context.get_abi_sizeof(self.real)
        self.lanes = REGISTER_BYTES // self.size
        self.kind = ir.VectorType(self.real, self.lanes)
        self.zero = ir.Constant(self.kind, [0.0] * self.lanes)
        numbers = ir.VectorType(_I32, self.lanes)
        count = self.spread(builder.trunc(last, _I32), numbers)
        self.mask = builder.icmp_signed("<", numbers(list(range(self.lanes))), count)

    def spread(self, value: Any, kind: Any = None) -> Any:
        """A vector of copies of one value."""
        kind = kind or self.kind
        nothing = ir.Constant(kind, ir.Undefined)
        one = self.builder.insert_element(nothing, value, _I32(0))
        first = ir.Constant(ir.VectorType(_I32, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(one, nothing, first)

    def interleave(self, a: Any, b: Any, upper: bool) -> Any:
        """Elements of the lower or upper halves of two vectors by turns."""
        first = self.lanes // 2 if upper else 0
        pairs = ((first + i, self.lanes + first + i) for i in range(self.lanes // 2))
        order = ir.Constant(ir.VectorType(_I32, self.lanes), [i for pair in pairs for i in pair])
        return self.builder.shuffle_vector(a, b, order)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """``a * b + c``, rounded once by processors that can."""
        return self._intrinsic("fmuladd", "", self.kind, [a, b, c])

    def load(self, pointer: Any, j: int, masked: bool) -> Any:
        """Vector j of those that begin at a pointer to a real; zeros where masked."""
        place = self._place(pointer, j)
        if masked:
            arguments = [place, _I32(self.size), self.mask, self.zero]
            return self._intrinsic("masked.load", ".p0", self.kind, arguments)
        vector = self.builder.load(place)
        vector.align = self.size
        return vector

    def store(self, vector: Any, pointer: Any, j: int, masked: bool) -> None:
        """Write vector j of those that begin at a pointer to a real, but for what is masked."""
        place = self._place(pointer, j)
        if masked:
            arguments = [vector, place, _I32(self.size), self.mask]
            self._intrinsic("masked.store", ".p0", ir.VoidType(), arguments)
        else:
            self.builder.store(vector, place).align = self.size

    def _place(self, pointer: Any, j: int) -> Any:
        place = self.builder.gep(pointer, [_I64(j * self.lanes)])
        return self.builder.bitcast(place, self.kind.as_pointer())

    def _intrinsic(self, name: str, suffix: str, result: Any, arguments: list[Any]) -> Any:
        full = f"llvm.{name}.v{self.lanes}f{8 * self.size}{suffix}"
        kind = ir.FunctionType(result, [a.type for a in arguments])
        function = cgutils.get_or_insert_function(self.builder.module, kind, full)
        return self.builder.call(function, arguments)


def _pointer(context: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
    return builder.gep(make_array(kind)(context, builder, array).data, [offset])


def _first_rows(builder: Any, count: int, rows: Any) -> list[Any]:
    """Numbers 0 to count, the last row's again and again where there are fewer."""
    last = builder.sub(rows, _I64(1))
    return [
        builder.select(builder.icmp_signed("<", _I64(i), rows), _I64(i), last) for i in range(count)
    ]


def _tile_function(context: Any, module: Any, kind: Any, vectors: int) -> Any:
    """Write, or find, the function that computes a tile so many vectors wide.

    It is not merged into its callers, where LLVM would not keep all sums in registers.
    """
    name = f"nnkit_tile_{kind.dtype}_{vectors}"
    if name in module.globals:
        return module.globals[name]
    pointer = context.get_data_type(kind.dtype).as_pointer()
    arguments = [pointer, _I64, _I64, pointer, _I64, pointer, _I64, _I64, _I64, _I64, _BIT]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block())
    _write_tile(builder, context, kind, vectors)
    builder.ret_void()
    return function


def _write_tile(builder: Any, context: Any, kind: Any, vectors: int) -> None:
    a_first, a_row, a_column, b_first, b_row, c, c_row, depth, rows, columns, add = (
        builder.function.args
    )
    vector = _Vectors(context, builder, kind, columns)
    height = TILE_ROWS[vectors]
    places = [(i, j) for i in range(height) for j in range(vectors)]
    masked = [j == vectors - 1 for j in range(vectors)]
    numbers = _first_rows(builder, height, rows)
    a_offsets = [builder.mul(number, a_row) for number in numbers]
    c_rows = [builder.gep(c, [builder.mul(number, c_row)]) for number in numbers]
    start = builder.block
    read, begin, loop, end = (
        builder.append_basic_block(name) for name in ("read", "begin", "loop", "end")
    )
    builder.cbranch(add, read, begin)

    builder.position_at_end(read)
    before = {(i, j): vector.load(c_rows[i], j, masked[j]) for i, j in places}
    builder.branch(begin)

    builder.position_at_end(begin)
    first = {place: builder.phi(vector.kind) for place in places}
    for place in places:
        first[place].add_incoming(vector.zero, start)
        first[place].add_incoming(before[place], read)
    builder.branch(loop)

    builder.position_at_end(loop)
    left, a, b = builder.phi(_I64), builder.phi(a_first.type), builder.phi(b_first.type)
    sums = {place: builder.phi(vector.kind) for place in places}
    row = [vector.load(b, j, masked[j] and not PADDED) for j in range(vectors)]
    after = {}
    for i, offset in enumerate(a_offsets):
        factor = vector.spread(builder.load(builder.gep(a, [offset])))
        for j in range(vectors):
            after[i, j] = vector.multiply_add(factor, row[j], sums[i, j])
    less = builder.sub(left, _I64(1))
    for value, at_first, next_time in (
        (left, depth, less),
        (a, a_first, builder.gep(a, [a_column])),
        (b, b_first, builder.gep(b, [b_row])),
        *((sums[place], first[place], after[place]) for place in places),
    ):
        value.add_incoming(at_first, begin)
        value.add_incoming(next_time, loop)
    builder.cbranch(builder.icmp_signed(">", less, _I64(0)), loop, end)

    builder.position_at_end(end)
    for i, j in places:
        vector.store(after[i, j], c_rows[i], j, masked[j])


@intrinsic
def tile(
    _context: Any,
    vectors: Any,
    a: Any,
    a_at: Any,
    a_row: Any,
    a_column: Any,
    b: Any,
    b_at: Any,
    b_row: Any,
    c: Any,
    c_at: Any,
    c_row: Any,
    depth: Any,
    rows: Any,
    columns: Any,
    add: Any,
) -> Any:
    """Compute a tile, ``c = a @ b`` or (if `add`) ``c += a @ b``, that is so many vectors wide.

    Given are flat arrays, the places in them where a, b and c begin, the distances between their
    rows, and that between the elements of a row of a. `columns` of the last vector are used (of b,
    if PADDED, all are read), and `rows`, up to TILE_ROWS[vectors]: if there are fewer, the last is
    computed several times.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        a, b, c = (_pointer(context, builder, kinds[i], args[i], args[i + 1]) for i in (1, 5, 8))
        arguments = [a, *args[3:5], b, args[7], c, *args[10:]]
        done = builder.append_basic_block("done")
        choice = builder.switch(args[0], done)
        for width in TILE_ROWS:
            block = builder.append_basic_block(f"tile{width}")
            choice.add_case(_I64(width), block)
            builder.position_at_end(block)
            builder.call(_tile_function(context, builder.module, kinds[1], width), arguments)
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    whole = types.int64
    arrays = a, whole, whole, whole, b, whole, whole, c, whole, whole
    return types.void(whole, *arrays, whole, whole, whole, types.boolean), generate


@intrinsic
def move(_context: Any, source: Any, source_at: Any, columns: Any, out: Any, out_at: Any) -> Any:
    """Copy a vector between flat arrays. So many elements of it are read; the others are zeros."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        source = _pointer(context, builder, kinds[0], args[0], args[1])
        out = _pointer(context, builder, kinds[3], args[3], args[4])
        vector = _Vectors(context, builder, kinds[0], args[2])
        vector.store(vector.load(source, 0, True), out, 0, False)
        return context.get_dummy_value()

    return types.void(source, types.int64, types.int64, out, types.int64), generate


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
        source = _pointer(context, builder, kinds[0], args[0], args[1])
        out = _pointer(context, builder, kinds[5], args[5], args[6])
        vector = _Vectors(context, builder, kinds[0], args[4])
        lanes = vector.lanes
        square = [
            vector.load(builder.gep(source, [builder.mul(number, args[2])]), 0, True)
            for number in _first_rows(builder, lanes, args[3])
        ]
        for _ in range(lanes.bit_length() - 1):
            half = lanes // 2
            square = [
                vector.interleave(square[i], square[i + half], upper)
                for i in range(half)
                for upper in (False, True)
            ]
        for i in range(lanes):
            place = builder.gep(out, [builder.mul(_I64(i), args[7])])
            vector.store(square[i], place, 0, False)
        return context.get_dummy_value()

    whole = types.int64
    return types.void(source, whole, whole, whole, whole, out, whole, whole), generate
