"""Stand-ins for NVIDIA's libraries of matrix products, which cannot run over a pretend driver.

cuBLAS is that of `cupy.matmul`, by NumPy; it is refused while a stream captures, as CuPy does.
cuBLASLt is the stand-in of this folder's parent, issued to the pretend streams.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cupy
import numpy as np

from nnkit.backends.cupy import cublaslt
from tests.device import fake_cublaslt
from tests.device.stub_driver import functions
from tests.device.stub_driver.cupy_kernels import view
from tests.device.stub_driver.order import device
from tests.device.stub_driver.queues import Operation


class Streams:
    """What the stand-in for cuBLASLt asks of CUDA."""

    @staticmethod
    def refuse_while_capturing(what: str) -> None:
        if current_stream().is_capturing():
            raise RuntimeError(f"the current stream is capturing, so {what} are disallowed")

    @staticmethod
    def current_stream() -> Any:
        return current_stream()

    @staticmethod
    def submit(work: Callable[[], None]) -> None:
        operation = Operation("cuBLASLt", work, (), *_touched[-1])
        with functions.lock:  # another thread may make a stream while all are gone through
            device.give(current_stream().ptr, operation)


class Library(fake_cublaslt.Library):
    """Notes which memory a product reads and writes, the workspace among them."""

    def cublasLtMatmul(self, handle: Any, description: Any, *rest: Any) -> int:
        _, a, _, b, *_, d, _, _, workspace, _, _ = rest
        about = self._objects[description.value]
        vector = {about[8]} if 8 in about else set()
        gradient = about.get(7, 0) & (fake_cublaslt.BGRADA | fake_cublaslt.BGRADB)
        reads = {a.value, b.value} | (set() if gradient else vector)
        writes = {d.value, workspace.value} | (vector if gradient else set())
        _touched[:] = [(frozenset(reads), frozenset(writes))]
        return super().cublasLtMatmul(handle, description, *rest)


_touched: list[tuple[frozenset[int], frozenset[int]]] = []


def current_stream() -> Any:
    return cupy.cuda.get_current_stream()


def install() -> None:
    """Put both in place, before the backend is made."""
    cupy.matmul = matmul
    fake_cublaslt.runtime = Streams
    cublaslt.load_library = lambda *version: Library()


def matmul(a: Any, b: Any, out: Any = None) -> Any:
    """Multiply matrices on the current stream."""
    if current_stream().is_capturing():
        raise NotImplementedError("calling cuBLAS during stream capture is not supported")
    if out is None:
        out = cupy.empty((a.shape[0], b.shape[1]), np.result_type(a, b))
    left, right, result = map(_on_host, (a, b, out))

    def multiply() -> None:
        result[...] = left @ right

    reads, writes = frozenset([a.data.ptr, b.data.ptr]), frozenset([out.data.ptr])
    with functions.lock:  # another thread may make a stream while all are gone through
        device.give(current_stream().ptr, Operation("cuBLAS", multiply, (), reads, writes))
    return out


def _on_host(array: Any) -> np.ndarray:
    return view(array.data.ptr, array.shape, array.dtype, array.strides)
