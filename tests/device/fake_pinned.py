"""The look-alike of CuPy's pinned host memory, and of the pool that it is from.

The pool gives freed memory at once to whoever asks next. It knows nothing of the streams: a copy
that has still to read it finds other data, here always poison.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.device import memory, queues
from tests.device.memory import Memory

UNIT = 512
"""The smallest size; the others are this times a power of two."""

_pinned: dict[int, list[Memory]] = {}
"""Pinned memory that is free, by its size."""


class _Pinned(np.ndarray):
    """Pinned memory that is in use: the base of an array, and gone with its last view."""

    block: Memory | None = None
    content: np.ndarray

    def __del__(self) -> None:
        if self.block is not None:
            self.content.fill(memory.POISON)
            _pinned.setdefault(self.block.used, []).append(self.block)


def empty_pinned(shape: Any, dtype: Any = float, order: str = "C") -> np.ndarray:
    """Make a NumPy array, uninitialised, in pinned memory."""
    dtype = np.dtype(dtype)
    units = -(-int(np.prod(shape, dtype=np.int64)) * dtype.itemsize // UNIT)
    size = UNIT << max(0, units - 1).bit_length()
    block = _pinned[size].pop() if _pinned.get(size) else memory.reserve(size, on_device=False)
    owner = block.view(_Pinned)
    owner.block, owner.content = block, memory.array_in(block, size, np.dtype(np.uint8), "C")
    return memory.array_in(block, shape, dtype, order, base=owner)


def zeros_pinned(shape: Any, dtype: Any = float, order: str = "C") -> np.ndarray:
    """Make a NumPy array of zeros in pinned memory."""
    array = empty_pinned(shape, dtype, order)
    array.fill(0)
    return array


def source_of_copy(host: np.ndarray) -> np.ndarray:
    """Return what a copy reads when it is done: pinned memory as it is then, else these values."""
    if queues.current() is None:
        return host
    owner = _owner(host)
    if owner is None:
        return host.copy("K")
    block = owner.block
    return np.ndarray(
        host.shape, host.dtype, block, host.ctypes.data - block.ctypes.data, host.strides
    )


def is_pinned(host: np.ndarray) -> bool:
    """Whether a NumPy array lies in pinned memory."""
    return _owner(host) is not None


def _owner(host: Any) -> _Pinned | None:
    while host is not None and not isinstance(host, _Pinned):
        host = getattr(host, "base", None)
    return host


class PinnedMemoryPool:
    """A pool of pinned host memory, as `cupy.cuda.PinnedMemoryPool`."""

    def n_free_blocks(self) -> int:
        """Return how many pieces of freed memory are kept."""
        return sum(map(len, _pinned.values()))

    def free_all_blocks(self) -> None:
        """Give back freed memory, for which the device has to have done its work."""
        queues.synchronize()
        _pinned.clear()


default_pinned_pool = PinnedMemoryPool()
