"""A stand-in for libcublasLt on the CPU: descriptions are checked, products are NumPy's.

It is called as `nnkit.backends.cupy` calls the real library, with ctypes arguments, and reads the
matrices column by column as the real one does. So transposes, leading dimensions, alignments,
epilogues and the order of arguments are tested; algorithms and speed are not. A description is read
when a product is called, and what it does then is recorded while a stream captures.
"""

from __future__ import annotations

import ctypes
from typing import Any, ClassVar

import numpy as np

from nnkit import dtypes
from tests.device import fake_streams as runtime

SUCCESS, INVALID_VALUE, NOT_SUPPORTED = 0, 7, 15
TYPES = {0: "float32", 1: "float64", 2: "float16", 14: "bfloat16"}
COMPUTE = {68: 0, 70: 1, 77: 0}
FAST_TF32 = 77
DESCRIPTION_BYTES = {3: 4, 4: 4, 7: 4, 8: 8}
"""Attributes of a product: transposes of A and B, the epilogue, the bias pointer."""
LAYOUT_BYTES = {5: 4, 6: 8}
"""Attributes of a layout: how many matrices, and how many numbers lie between them."""
PREFERENCE_BYTES = {1: 8, 5: 4, 6: 4, 7: 4, 8: 4}
"""Attributes of a preference: workspace, and the alignments of A, B, C and D."""
DEFAULT, RELU, BIAS, RELU_BIAS, BGRADA, BGRADB = 1, 2, 4, 6, 256, 512
SCALARS = {0: ctypes.c_float, 1: ctypes.c_double}
MATRICES = {0: (0, 2, 14), 1: (1,)}
"""The types of matrices that go with a type of sums."""


class Library:
    """The functions of libcublasLt that nnkit uses. `calls` counts products carried out."""

    types: ClassVar = frozenset(TYPES.values())
    """Dtypes of the matrices that there are algorithms for."""
    epilogues: ClassVar = frozenset({DEFAULT, RELU, BIAS, RELU_BIAS, BGRADA, BGRADB})
    """Those that there are algorithms for."""

    version, path = "12.9.1", "/fake/libcublasLt.so.12"

    def __init__(self, major: int = 12) -> None:
        assert major == 12
        self.calls = 0
        self._objects: dict[int, dict[Any, Any]] = {}
        self._algorithms: list[tuple[int, list[int]]] = []

    def _make(self, pointer: Any, **fields: Any) -> int:
        number = len(self._objects) + 1
        self._objects[number] = fields
        pointer._obj.value = number
        return SUCCESS

    def cublasLtCreate(self, handle: Any) -> int:
        return self._make(handle, kind="handle")

    def cublasLtMatmulDescCreate(self, pointer: Any, compute: Any, scale: Any) -> int:
        if COMPUTE.get(compute.value) != scale.value:
            return INVALID_VALUE
        return self._make(pointer, kind="description", type=scale.value, compute=compute.value)

    def cublasLtMatmulDescSetAttribute(
        self, description: Any, attribute: Any, value: Any, size: Any
    ) -> int:
        assert size.value == ctypes.sizeof(value._obj)
        if DESCRIPTION_BYTES.get(attribute.value) != size.value:
            return INVALID_VALUE
        self._objects[description.value][attribute.value] = value._obj.value
        return SUCCESS

    def cublasLtMatrixLayoutCreate(
        self, pointer: Any, kind: Any, rows: Any, columns: Any, leading: Any
    ) -> int:
        if leading.value < rows.value or not rows.value or not columns.value:
            return INVALID_VALUE
        shape = rows.value, columns.value
        return self._make(
            pointer, kind="layout", type=kind.value, shape=shape, leading=leading.value
        )

    def cublasLtMatrixLayoutSetAttribute(
        self, layout: Any, attribute: Any, value: Any, size: Any
    ) -> int:
        assert size.value == ctypes.sizeof(value._obj)
        if LAYOUT_BYTES.get(attribute.value) != size.value:
            return INVALID_VALUE
        self._objects[layout.value][attribute.value] = value._obj.value
        return SUCCESS

    def cublasLtMatmulPreferenceCreate(self, pointer: Any) -> int:
        return self._make(pointer, kind="preference")

    def cublasLtMatmulPreferenceSetAttribute(
        self, preference: Any, attribute: Any, value: Any, size: Any
    ) -> int:
        assert size.value == ctypes.sizeof(value._obj)
        if PREFERENCE_BYTES.get(attribute.value) != size.value:
            return INVALID_VALUE
        self._objects[preference.value][attribute.value] = value._obj.value
        return SUCCESS

    def cublasLtMatmulPreferenceDestroy(self, preference: Any) -> int:
        self._objects[preference.value] = {}
        return SUCCESS

    def cublasLtMatmulAlgoGetHeuristic(
        self, handle: Any, description: Any, a: Any, b: Any, c: Any, d: Any, *rest: Any
    ) -> int:
        preference, wanted, result, found = rest
        runtime.refuse_while_capturing("cuBLASLt's heuristics")
        assert self._objects[handle.value]["kind"] == "handle"
        assert self._objects[preference.value]["kind"] == "preference"
        assert ctypes.sizeof(result._obj) == 96
        assert wanted.value == 1
        if not self._fits(description, a, b, c, d):
            return INVALID_VALUE
        about, limits = self._objects[description.value], self._objects[preference.value]
        k = self._objects[a.value]["shape"][not about.get(3)]
        known = TYPES[self._objects[a.value]["type"]] in self.types
        if not (known and self.has_algorithm(about, k)):
            found._obj.value = 0
            return NOT_SUPPORTED
        alignments = [limits.get(attribute, 256) for attribute in (5, 6, 7, 8)]
        self._algorithms.append((description.value, alignments))
        result._obj.algorithm.data[0] = len(self._algorithms)
        found._obj.value = 1
        return SUCCESS

    def has_algorithm(self, about: dict[Any, Any], k: int) -> bool:
        """Whether the epilogue is known. BGRADA wants A as it is, and BGRADB B transposed."""
        epilogue = about.get(7, DEFAULT)
        if epilogue not in self.epilogues or (epilogue == BGRADA and about.get(3)):
            return False
        return epilogue != BGRADB or bool(about.get(4))

    def _fits(self, description: Any, *layouts: Any) -> bool:
        """Whether op(A) (m, k), op(B) (k, n), C and D (m, n) have shapes that go together."""
        about = self._objects[description.value]
        a, b, c, d = (self._objects[layout.value] for layout in layouts)
        (m, k), (k2, n) = (
            shape[::-1] if about.get(attribute) else shape
            for shape, attribute in ((a["shape"], 3), (b["shape"], 4))
        )
        types = {a["type"], b["type"], c["type"], d["type"]}
        alike = len(types) == 1 and a["type"] in MATRICES[about["type"]]
        alike = alike and len({layout.get(5, 1) for layout in (a, b, c, d)}) == 1
        return k == k2 and c["shape"] == d["shape"] == (m, n) and alike

    def cublasLtMatmul(
        self, handle: Any, description: Any, alpha: Any, a: Any, a_layout: Any, *rest: Any
    ) -> int:
        b, b_layout, beta, _, c_layout, d, d_layout, algorithm, workspace, size, stream = rest
        layouts = a_layout, b_layout, c_layout, d_layout
        if not self._fits(description, *layouts):
            return INVALID_VALUE
        about = self._objects[description.value]
        chosen_for, alignments = self._algorithms[algorithm._obj.data[0] - 1]
        pointers = a.value, b.value, d.value, d.value
        if chosen_for != description.value or any(
            _alignment(pointer) < least for pointer, least in zip(pointers, alignments, strict=True)
        ):
            return NOT_SUPPORTED
        assert workspace.value
        assert size.value == 32 << 20
        assert (stream.value or 0) == runtime.current_stream().ptr
        scalar = SCALARS[about["type"]]
        assert type(alpha._obj) is type(beta._obj) is scalar
        assert (alpha._obj.value, beta._obj.value) == (1, 0)
        left, right, out = self._view(a, a_layout), self._view(b, b_layout), self._view(d, d_layout)
        left = left.swapaxes(-1, -2) if about.get(3) else left
        right = right.swapaxes(-1, -2) if about.get(4) else right
        epilogue, vector = about.get(7, DEFAULT), np.empty(0)
        if epilogue & (BIAS | BGRADA | BGRADB):
            if not about.get(8):
                return INVALID_VALUE
            assert about[8] % 16 == 0, "misaligned address"
            length = out.shape[epilogue == BGRADB]
            memory = (ctypes.c_char * (length * out.itemsize)).from_address(about[8])
            vector = np.frombuffer(memory, out.dtype)
        taken = tf32 if about["compute"] == FAST_TF32 else np.asarray
        runtime.submit(lambda: self.compute(taken(left), taken(right), out, epilogue, vector))
        return SUCCESS

    def compute(
        self,
        left: np.ndarray,
        right: np.ndarray,
        out: np.ndarray,
        epilogue: int,
        vector: np.ndarray,
    ) -> None:
        self.calls += 1
        left, right = map(dtypes.as_arithmetic, (left, right))
        with np.errstate(invalid="ignore"):
            product = left @ right
            if epilogue & BIAS:
                product += dtypes.as_arithmetic(vector)[:, None]
            if epilogue & RELU:
                self.relu(product)
            out[...] = product
            if epilogue == BGRADA:
                vector[...] = left.sum(axis=1)
            if epilogue == BGRADB:
                vector[...] = right.sum(axis=0)

    def relu(self, out: np.ndarray) -> None:
        np.maximum(out, 0, out=out)

    def _view(self, pointer: Any, layout: Any) -> np.ndarray:
        """Show the memory at an address as a matrix whose columns are contiguous."""
        about = self._objects[layout.value]
        rows, columns = about["shape"]
        kind = dtypes.parse(TYPES[about["type"]])
        count, apart = about.get(5, 1), about.get(6, 0)
        length, item = about["leading"] * (columns - 1) + rows + (count - 1) * apart, kind.itemsize
        memory = (ctypes.c_char * (length * item)).from_address(pointer.value)
        flat = np.frombuffer(memory, kind)
        strides = item * apart, item, item * about["leading"]
        several = np.lib.stride_tricks.as_strided(flat, (count, rows, columns), strides)
        return several if 5 in about else several[0]


def tf32(x: np.ndarray) -> np.ndarray:
    """Round float32 to the 11 digits that are multiplied."""
    rounded = ((np.ascontiguousarray(x).view(np.int32) + 0x1000) & ~0x1FFF).view(np.float32)
    return np.where(np.isfinite(x), rounded, x)


def _alignment(address: int | None) -> int:
    """Bytes that an address is a multiple of, up to what cuBLASLt knows of."""
    return min((address or 0) & -(address or 0), 256) or 256
