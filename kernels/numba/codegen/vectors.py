"""Vectors of the processor's, in LLVM's language."""

from collections.abc import Iterable, Iterator
from typing import Any

from llvmlite import ir
from numba.core import cgutils
from numba.np.arrayobj import make_array

from nnkit.kernels.numba.codegen.processor import ARM, LINE, REGISTER_BYTES, X86

_I32, I64 = ir.IntType(32), ir.IntType(64)
_BYTES = ir.VectorType(ir.IntType(8), 16)

_CHOOSE = {16: "llvm.x86.avx512.vpermilvar.ps.512", 8: "llvm.x86.avx.vpermilvar.ps.256"}
"""Instructions that choose one of four reals for each lane, by lanes."""
_LOOK_UP = {4: "llvm.aarch64.neon.tbl1.v16i8", 8: "llvm.aarch64.neon.tbl2.v16i8"}
"""Instructions that look up 16 bytes in those of four reals, by the size of a real."""


class Vectors:
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

    def whole(self, vector: Any) -> Any:
        """Integers of the numbers of a vector, which are whole."""
        return self.builder.fptosi(vector, ir.VectorType(ir.IntType(8 * self.size), self.lanes))

    def choose(self, quad: Any, numbers: Any) -> Any:
        """For each lane one of four reals, by integers 0 to 3."""
        builder = self.builder
        order = [i % 4 for i in range(self.lanes)]
        if X86 and self.size == 4 and self.lanes > 4:
            name = _CHOOSE[self.lanes]
            lanes = ir.Constant(ir.VectorType(_I32, self.lanes), order)
            quads = builder.shuffle_vector(quad, ir.Constant(quad.type, ir.Undefined), lanes)
            kind = ir.FunctionType(self.kind, [self.kind, numbers.type])
            function = cgutils.get_or_insert_function(builder.module, kind, name)
            return builder.call(function, [quads, numbers])
        if ARM:
            return self._looked_up(quad, numbers)
        first, *others = (self.spread(builder.extract_element(quad, _I32(i))) for i in range(4))
        for i, value in enumerate(others, 1):
            here = ir.Constant(numbers.type, [i] * self.lanes)
            first = builder.select(builder.icmp_signed("==", numbers, here), value, first)
        return first

    def _looked_up(self, quad: Any, numbers: Any) -> Any:
        """Do as `choose`, by looking up bytes: real i of a quad has size bytes from i * size on."""
        builder, size, lanes = self.builder, self.size, self.lanes
        spread = ir.Constant(numbers.type, [int.from_bytes([size] * size, "little")] * lanes)
        within = ir.Constant(numbers.type, [int.from_bytes(range(size), "little")] * lanes)
        places = builder.add(builder.mul(numbers, spread), within)
        tables = []
        for first in range(0, 4, lanes):
            order = ir.Constant(ir.VectorType(_I32, lanes), [*range(first, first + lanes)])
            part = builder.shuffle_vector(quad, ir.Constant(quad.type, ir.Undefined), order)
            tables.append(builder.bitcast(part, _BYTES))
        arguments = [*tables, builder.bitcast(places, _BYTES)]
        kind = ir.FunctionType(_BYTES, [_BYTES] * len(arguments))
        function = cgutils.get_or_insert_function(builder.module, kind, _LOOK_UP[size])
        return builder.bitcast(builder.call(function, arguments), self.kind)

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

    def prefetch(self, pointer: Any, ahead: Any, count: int) -> None:
        """Begin to fetch so many vectors, `ahead` reals from a pointer: it may lead anywhere."""
        for j in range(0, count * self.lanes, LINE // self.size):
            place = self.builder.gep(pointer, [self.builder.add(ahead, I64(j))])
            place = self.builder.bitcast(place, ir.IntType(8).as_pointer())
            arguments = [place, _I32(0), _I32(3), _I32(1)]
            kind = ir.FunctionType(ir.VoidType(), [a.type for a in arguments])
            function = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0")
            self.builder.call(function, arguments)

    def _place(self, pointer: Any, j: int) -> Any:
        place = self.builder.gep(pointer, [I64(j * self.lanes)])
        return self.builder.bitcast(place, self.kind.as_pointer())

    def _intrinsic(self, name: str, suffix: str, result: Any, arguments: list[Any]) -> Any:
        full = f"llvm.{name}.v{self.lanes}f{8 * self.size}{suffix}"
        kind = ir.FunctionType(result, [a.type for a in arguments])
        function = cgutils.get_or_insert_function(self.builder.module, kind, full)
        return self.builder.call(function, arguments)


def pointer(context: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
    """Where an element of a flat array is, whose Numba type is `kind`."""
    return builder.gep(make_array(kind)(context, builder, array).data, [offset])


def first_rows(builder: Any, count: int, rows: Any) -> list[Any]:
    """Numbers 0 to count, the last row's again and again where there are fewer."""
    last = builder.sub(rows, I64(1))
    return [
        builder.select(builder.icmp_signed("<", I64(i), rows), I64(i), last) for i in range(count)
    ]


def chosen(builder: Any, number: Any, numbers: Iterable[int]) -> Iterator[int]:
    """Write code for each of some numbers, of which that of `number` is carried out."""
    done = builder.append_basic_block("done")
    choice = builder.switch(number, done)
    for case in numbers:
        block = builder.append_basic_block(f"case{case}")
        choice.add_case(I64(case), block)
        builder.position_at_end(block)
        yield case
        builder.branch(done)
    builder.position_at_end(done)
