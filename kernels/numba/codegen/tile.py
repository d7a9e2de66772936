"""The inner loop of a matrix product: one tile of the result, which stays in registers.

Written in LLVM's language, because no loop of Python's makes Numba keep a tile in registers. The
design is that of BLIS (Van Zee & van de Geijn 2015) without packing of what can be read where it
is: for each k, a few vectors of a row of b are loaded, and multiplied by one number of each row of
a. An element is the sum of ``a[i, k] * b[k, j]`` in the order of k: its bits depend neither on the
tile nor on the number of threads or rows.

In a product of matrices a lies regularly, at distances of `a_row` and `a_column`. In a gathered one
tables say where each of its rows and columns begins, ``a[rows[i] + columns[k]]``, and each row of
the result: so a convolution is a product without copies of what its windows see (the indirect
convolution of Dukhan 2019).

In a choosing one, which is gathered, a has four numbers in each place, and each element of b says
by which of them it is multiplied.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from nnkit.kernels.numba.codegen.processor import REGISTER_BYTES, X86
from nnkit.kernels.numba.codegen.vectors import I64, Vectors, chosen, first_rows, pointer

TILE_ROWS = {1: 8, 2: 8, 3: 8, 4: 6, 5: 5, 6: 4, 7: 3}
if REGISTER_BYTES < 64:
    TILE_ROWS = {1: 8, 2: 6, 3: 4} if X86 else {1: 8, 2: 8, 3: 8, 4: 6, 5: 5}
"""For each width of a tile, in vectors, its rows: as many as 32 or 16 vector registers hold. ARM's
multiply by one number of a vector, so that wide tiles of few rows load more than they need."""

CHOOSING_ROWS = {1: 13, 2: 9}
if X86 and REGISTER_BYTES < 64:
    CHOOSING_ROWS = {1: 8}
"""The same for tiles whose factors are chosen."""

PADDED = REGISTER_BYTES == 16
"""Whether tiles read whole vectors of b only, which must be copied to longer rows for that: small
registers come without instructions for parts of them."""

_BIT = ir.IntType(1)
PLAIN, GATHERED, CHOOSING = "plain", "gathered", "choosing"


def _tile_function(context: Any, module: Any, kind: Any, vectors: int, how: str) -> Any:
    """Write, or find, the function that computes a tile so many vectors wide.

    It is not merged into its callers, where LLVM would not keep all sums in registers.
    """
    name = f"nnkit_{how}_tile_{kind.dtype}_{vectors}"
    if name in module.globals:
        return module.globals[name]
    real = context.get_data_type(kind.dtype).as_pointer()
    place = I64 if how == PLAIN else I64.as_pointer()
    arguments = [real, place, place, real, I64, real, place, I64, I64, I64, _BIT]
    arguments += [I64] if how == CHOOSING else []
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block())
    _write_tile(builder, context, kind, vectors, how)
    builder.ret_void()
    return function


def _places(builder: Any, numbers: list[Any], where: Any, how: str) -> list[Any]:
    """Where these rows begin: as a table says, or all at one distance."""
    if how == PLAIN:
        return [builder.mul(number, where) for number in numbers]
    return [builder.load(builder.gep(where, [number])) for number in numbers]


def _factors(vector: Vectors, a: Any, offset: Any, choices: list[Any]) -> list[Any]:
    """By what vectors of b are multiplied: a number of a, or a choice of four for each element."""
    builder = vector.builder
    place = builder.gep(a, [offset])
    if choices[0] is None:
        return [vector.spread(builder.load(place))] * len(choices)
    quad = builder.load(builder.bitcast(place, ir.VectorType(vector.real, 4).as_pointer()))
    quad.align = vector.size
    return [vector.choose(quad, choice) for choice in choices]


def _write_tile(builder: Any, context: Any, kind: Any, vectors: int, how: str) -> None:
    """Write a tile, and another without masks where those take registers from what is summed."""
    columns = builder.function.args[9]
    vector = Vectors(context, builder, kind, columns)
    whole, part = [False] * vectors, [j == vectors - 1 for j in range(vectors)]
    rows = _rows_of_tile(builder, vector, vectors, how)
    if REGISTER_BYTES == 64:
        _write_loop(vector, rows, part, how)
        return
    full = builder.icmp_signed("==", columns, I64(vector.lanes))
    with builder.if_else(full) as (then, otherwise):
        with then:
            _write_loop(vector, rows, whole, how)
        with otherwise:
            _write_loop(vector, rows, part, how)


def _rows_of_tile(
    builder: Any, vector: Vectors, vectors: int, how: str
) -> tuple[list[Any], list[Any]]:
    """Where the rows of a tile's a and c begin."""
    a, a_row, _, _, _, c, c_row, _, rows, *_ = builder.function.args
    height = (CHOOSING_ROWS if how == CHOOSING else TILE_ROWS)[vectors]
    numbers = first_rows(builder, height, rows)
    ahead = _places(builder, numbers, a_row, how)
    if how == CHOOSING:
        ahead = [builder.mul(at, I64(4)) for at in ahead]
    a_rows = [builder.gep(a, [at]) for at in ahead]
    return a_rows, [builder.gep(c, [at]) for at in _places(builder, numbers, c_row, how)]


def _write_loop(
    vector: Vectors, rows: tuple[list[Any], list[Any]], masked: list[bool], how: str
) -> None:
    """Write the loop over k, and what is before and after it; `masked` is by vectors of a row."""
    builder, vectors = vector.builder, len(masked)
    _, _, a_column, b_first, b_row, _, _, depth, _, _, add, *apart = builder.function.args
    a_rows, c_rows = rows
    places = [(i, j) for i in range(len(a_rows)) for j in range(vectors)]
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
    if how == PLAIN:
        step = builder.mul(I64(len(a_rows)), builder.function.args[6])
        for at in c_rows:
            vector.prefetch(at, step, vectors)
    builder.branch(loop)

    builder.position_at_end(loop)
    left, column, b = builder.phi(I64), builder.phi(a_column.type), builder.phi(b_first.type)
    sums = {place: builder.phi(vector.kind) for place in places}
    whole = PADDED or how == CHOOSING
    row = [vector.load(b, j, masked[j] and not whole) for j in range(vectors)]
    after = {}
    offset, choices = column if how == PLAIN else builder.load(column), [None] * vectors
    if how == CHOOSING:
        offset = builder.mul(offset, I64(4))
        numbers = [vector.load(builder.gep(b, apart), j, False) for j in range(vectors)]
        choices = [vector.whole(number) for number in numbers]
    for i, a in enumerate(a_rows):
        for j, factor in enumerate(_factors(vector, a, offset, choices)):
            after[i, j] = vector.multiply_add(factor, row[j], sums[i, j])
    less = builder.sub(left, I64(1))
    if how == PLAIN:
        first_column, next_column = I64(0), builder.add(column, a_column)
    else:
        first_column, next_column = a_column, builder.gep(column, [I64(1)])
    for value, at_first, next_time in (
        (left, depth, less),
        (column, first_column, next_column),
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
        _call_tile(context, builder, kinds[1], args[0], arguments, PLAIN)
        return context.get_dummy_value()

    whole = types.int64
    arrays = a, whole, whole, whole, b, whole, whole, c, whole, whole
    return types.void(whole, *arrays, whole, whole, whole, types.boolean), generate


@intrinsic
def gathered_tile(
    _context: Any,
    vectors: Any,
    a: Any,
    a_at: Any,
    rows: Any,
    rows_at: Any,
    columns: Any,
    columns_at: Any,
    b: Any,
    b_at: Any,
    b_row: Any,
    c: Any,
    c_at: Any,
    places: Any,
    places_at: Any,
    depth: Any,
    count: Any,
    last: Any,
    add: Any,
) -> Any:
    """Do as `tile`, with tables of int64 that say where the rows and columns of a are, and c's.

    Element (i, k) of a is at ``a_at + rows[rows_at + i] + columns[columns_at + k]``, row i of c at
    ``c_at + places[places_at + i]``. There are `count` rows, and `last` columns of the last vector.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        a, rows, columns, b, c, places = (
            pointer(context, builder, kinds[i], args[i], args[i + 1]) for i in (1, 3, 5, 7, 10, 12)
        )
        arguments = [a, rows, columns, b, args[9], c, places, *args[14:]]
        _call_tile(context, builder, kinds[1], args[0], arguments, GATHERED)
        return context.get_dummy_value()

    whole = types.int64
    tables = a, whole, rows, whole, columns, whole, b, whole, whole, c, whole, places, whole
    return types.void(whole, *tables, whole, whole, whole, types.boolean), generate


@intrinsic
def choosing_tile(
    _context: Any,
    vectors: Any,
    a: Any,
    a_at: Any,
    rows: Any,
    rows_at: Any,
    columns: Any,
    columns_at: Any,
    b: Any,
    b_at: Any,
    b_row: Any,
    c: Any,
    c_at: Any,
    places: Any,
    places_at: Any,
    depth: Any,
    count: Any,
    last: Any,
    add: Any,
    apart: Any,
) -> Any:
    """Do as `gathered_tile`, with four numbers in each place of a, of which elements of b choose.

    Tables count places. An element's choice, a number 0 to 3, is `apart` from it. All of the last
    vector of b is read.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        a, rows, columns, b, c, places = (
            pointer(context, builder, kinds[i], args[i], args[i + 1]) for i in (1, 3, 5, 7, 10, 12)
        )
        arguments = [a, rows, columns, b, args[9], c, places, *args[14:]]
        _call_tile(context, builder, kinds[1], args[0], arguments, CHOOSING)
        return context.get_dummy_value()

    whole = types.int64
    tables = a, whole, rows, whole, columns, whole, b, whole, whole, c, whole, places, whole
    return types.void(whole, *tables, whole, whole, whole, types.boolean, whole), generate


def _call_tile(
    context: Any, builder: Any, kind: Any, vectors: Any, arguments: list[Any], how: str
) -> None:
    """Call the function of a tile that is so many vectors wide."""
    for width in chosen(builder, vectors, CHOOSING_ROWS if how == CHOOSING else TILE_ROWS):
        builder.call(_tile_function(context, builder.module, kind, width, how), arguments)
