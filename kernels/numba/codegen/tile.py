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
from numba.extending import intrinsic

from nnkit.kernels.numba.codegen.processor import REGISTER_BYTES, X86
from nnkit.kernels.numba.codegen.vectors import I64, Vectors, first_rows, pointer

TILE_ROWS = {1: 8, 2: 8, 3: 8, 4: 6, 5: 5, 6: 4, 7: 3}
if X86 and REGISTER_BYTES < 64:
    TILE_ROWS = {1: 8, 2: 6, 3: 4}
"""For each width of a tile, in vectors, its rows: as many as 32 or 16 vector registers hold."""

PADDED = REGISTER_BYTES == 16
"""Whether tiles read whole vectors of b only, which must be copied to longer rows for that: small
registers come without instructions for parts of them."""

_BIT = ir.IntType(1)


def _tile_function(context: Any, module: Any, kind: Any, vectors: int) -> Any:
    """Write, or find, the function that computes a tile so many vectors wide.

    It is not merged into its callers, where LLVM would not keep all sums in registers.
    """
    name = f"nnkit_tile_{kind.dtype}_{vectors}"
    if name in module.globals:
        return module.globals[name]
    real = context.get_data_type(kind.dtype).as_pointer()
    arguments = [real, I64, I64, real, I64, real, I64, I64, I64, I64, _BIT]
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
    vector = Vectors(context, builder, kind, columns)
    height = TILE_ROWS[vectors]
    places = [(i, j) for i in range(height) for j in range(vectors)]
    masked = [j == vectors - 1 for j in range(vectors)]
    numbers = first_rows(builder, height, rows)
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
    left, a, b = builder.phi(I64), builder.phi(a_first.type), builder.phi(b_first.type)
    sums = {place: builder.phi(vector.kind) for place in places}
    row = [vector.load(b, j, masked[j] and not PADDED) for j in range(vectors)]
    after = {}
    for i, offset in enumerate(a_offsets):
        factor = vector.spread(builder.load(builder.gep(a, [offset])))
        for j in range(vectors):
            after[i, j] = vector.multiply_add(factor, row[j], sums[i, j])
    less = builder.sub(left, I64(1))
    for value, at_first, next_time in (
        (left, depth, less),
        (a, a_first, builder.gep(a, [a_column])),
        (b, b_first, builder.gep(b, [b_row])),
        *((sums[place], first[place], after[place]) for place in places),
    ):
        value.add_incoming(at_first, begin)
        value.add_incoming(next_time, loop)
    builder.cbranch(builder.icmp_signed(">", less, I64(0)), loop, end)

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
        a, b, c = (pointer(context, builder, kinds[i], args[i], args[i + 1]) for i in (1, 5, 8))
        arguments = [a, *args[3:5], b, args[7], c, *args[10:]]
        done = builder.append_basic_block("done")
        choice = builder.switch(args[0], done)
        for width in TILE_ROWS:
            block = builder.append_basic_block(f"tile{width}")
            choice.add_case(I64(width), block)
            builder.position_at_end(block)
            builder.call(_tile_function(context, builder.module, kinds[1], width), arguments)
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    whole = types.int64
    arrays = a, whole, whole, whole, b, whole, whole, c, whole, whole
    return types.void(whole, *arrays, whole, whole, whole, types.boolean), generate
