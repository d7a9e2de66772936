"""A look-alike of `cupy.cuda.nccl` for ranks that are threads, each with a GPU of its own.

Sums are work of the fake streams: done when these do theirs, recorded while they capture. Each
waits for those of the other ranks, as on GPUs; what does not fit together fails.
"""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import ml_dtypes
import numpy as np

from tests.device import fake_streams

available = True
SECONDS = 20
"""After which a rank that waits for another gives up."""
DTYPES = {
    **{"INT8": "i1", "UINT8": "u1", "INT32": "i4", "UINT32": "u4", "INT64": "i8", "UINT64": "u8"},
    **{"FLOAT16": "f2", "FLOAT32": "f4", "FLOAT64": "f8", "BFLOAT16": ml_dtypes.bfloat16},
}
"""In the order of NCCL's numbers."""
for _number, _name in enumerate(DTYPES):
    globals()[f"NCCL_{_name}"] = _number
NCCL_SUM = 0
ID_BYTES = 128

_groups: dict[tuple[int, ...], _Group] = {}
_lock = threading.Lock()


class _Group:
    """The ranks of one communicator."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.barrier = threading.Barrier(size, timeout=SECONDS)
        self.arrays: list[Any] = [None] * size


def get_version() -> int:
    """Return a version as NCCL writes it, 2.28.9."""
    return 22809


def get_unique_id() -> tuple[int, ...]:
    """Make an id."""
    return tuple(int(byte) for byte in np.random.default_rng().integers(-128, 128, ID_BYTES))


class NcclCommunicator:
    """What a rank adds up with, as `cupy.cuda.nccl.NcclCommunicator`."""

    def __init__(self, ndev: int, commId: tuple[int, ...], rank: int) -> None:
        assert isinstance(commId, tuple) and len(commId) == ID_BYTES
        with _lock:
            self._group = _groups.setdefault(commId, _Group(ndev))
        assert self._group.size == ndev
        self._rank, self.calls = rank, 0
        self._group.barrier.wait()

    def allReduce(
        self, sendbuf: int, recvbuf: int, count: int, datatype: int, op: int, stream: int
    ) -> None:
        """Enqueue a sum."""
        assert op == NCCL_SUM
        current = fake_streams.current_stream()
        assert current.ptr == stream
        self.calls += 1
        dtype = np.dtype(list(DTYPES.values())[datatype])
        fake_streams.submit(lambda: self._add_up(sendbuf, recvbuf, count, dtype), current)

    def _add_up(self, source: int, target: int, count: int, dtype: np.dtype) -> None:
        group = self._group
        group.arrays[self._rank] = _memory(source, count, dtype).copy()
        group.barrier.wait()
        assert len({(a.dtype, a.size) for a in group.arrays}) == 1
        total = group.arrays[0]
        for array in group.arrays[1:]:
            total = total + array
        _memory(target, count, dtype)[:] = total
        group.barrier.wait()


def _memory(address: int, count: int, dtype: np.dtype) -> np.ndarray:
    room = (ctypes.c_uint8 * (count * dtype.itemsize)).from_address(address)
    return np.frombuffer(room, dtype)
