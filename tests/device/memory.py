"""Arrays that stand for GPU memory: poisoned before use, and watched for writes around them."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

GUARD_BYTES = 512
ALIGNMENT = 512
"""As CuPy aligns its allocations."""
POISON = 0xFF
"""NaN in every floating-point format, -1 or the largest number as an integer."""


class Memory(np.ndarray):
    """The bytes of one allocation with a guard zone on both sides."""

    live_bytes: ClassVar[int] = 0
    """The size of all device memory that is still referenced."""

    used = 0
    """Bytes between the guard zones."""

    start = 0
    """Where these begin."""

    on_device = False

    def __del__(self) -> None:
        if self.on_device and Memory is not None:  # at the interpreter's exit it may be gone
            Memory.live_bytes -= self.used


def allocate(shape: Any, dtype: Any = float, order: str = "C") -> np.ndarray:
    """Make an array whose elements are NaN, -1, the largest unsigned integer, or True."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    return array_in(reserve(size), shape, dtype, order)


def reserve(size: int, on_device: bool = True) -> Memory:
    """Make memory for some bytes, poisoned."""
    memory = Memory(size + 2 * GUARD_BYTES + ALIGNMENT, np.uint8)
    memory.fill(POISON)
    memory.used, memory.on_device = size, on_device
    Memory.live_bytes += size * on_device
    address = memory.ctypes.data
    memory.start = GUARD_BYTES + -(address + GUARD_BYTES) % ALIGNMENT
    end = memory.start + size
    _forbid(address, memory.start)
    _forbid(address + end, memory.size - end)
    return memory


def array_in(
    memory: Memory,
    shape: Any,
    dtype: np.dtype,
    order: str,
    poisoned: bool = True,
    base: np.ndarray | None = None,
) -> np.ndarray:
    """Make an array in memory, poisoned or not; `base` is another view of it, to be kept alive."""
    buffer = memory if base is None else base
    array = np.ndarray(shape, dtype, buffer=buffer, offset=memory.start, order=order)
    if poisoned and dtype == np.bool_:
        poison(array)
    return array


def poison(array: np.ndarray) -> None:
    """Fill a contiguous array with what gives a mistake away."""
    if array.dtype == np.bool_:
        array.fill(True)  # any other byte than 0 or 1 is no truth value
    else:
        array.ravel("K").view(np.uint8).fill(POISON)


def memory_of(array: np.ndarray) -> Memory | None:
    """Return the allocation that an array is a view of, or None if it is ordinary NumPy memory."""
    base = array
    while base is not None and not isinstance(base, Memory):
        base = getattr(base, "base", None)
    return base


class Surroundings:
    """The bytes around some contiguous arrays, in the allocations that these are views of."""

    def __init__(self, arrays: Iterable[tuple[int, np.ndarray]]) -> None:
        spans: dict[int, tuple[Memory, list[tuple[int, int, int]]]] = {}
        for position, array in arrays:
            memory = memory_of(array)
            if memory is not None:
                start = array.ctypes.data - memory.ctypes.data
                entry = spans.setdefault(id(memory), (memory, []))
                entry[1].append((start, start + array.nbytes, position))
        self._spans = list(spans.values()) if _sanitizer is None else []
        self._gaps = [
            (memory, taken, start, memory[start:stop].tobytes())
            for memory, taken in self._spans
            for start, stop in _complement(taken, memory.size)
        ]

    def find_change(self) -> str | None:
        """Describe the first byte that has changed, and undo the changes; None if all is well."""
        found = None
        for memory, taken, start, before in self._gaps:
            after = memory[start : start + len(before)]
            if after.tobytes() != before:
                original = np.frombuffer(before, np.uint8)
                changed = start + np.flatnonzero(np.asarray(after) != original)
                found = found or _describe(changed, taken)
                after[:] = original
        return found


def _complement(taken: list[tuple[int, int, int]], size: int) -> list[tuple[int, int]]:
    """Return the byte ranges of an allocation that no array takes up."""
    gaps, end = [], 0
    for start, stop, _ in sorted(taken):
        if start > end:
            gaps.append((end, start))
        end = max(end, stop)
    return [*gaps, (end, size)]


def _describe(changed: np.ndarray, taken: list[tuple[int, int, int]]) -> str:
    """Say which byte was written, counted from the nearest array."""
    first, last = int(changed.min()), int(changed.max())
    _, start, stop, position = min(
        (max(start - last, first - stop), start, stop, position) for start, stop, position in taken
    )
    return f"writes byte {first - start} of argument {position}, which has {stop - start} bytes"


def _find_sanitizer() -> Any:
    """Return AddressSanitizer's interface if it is loaded into this process."""
    process = ctypes.CDLL(None)
    return process if hasattr(process, "__asan_poison_memory_region") else None


_sanitizer = _find_sanitizer()


def _forbid(address: int, size: int) -> None:
    """Have AddressSanitizer report every access to a guard zone, reads included."""
    if _sanitizer is not None:
        poison = _sanitizer.__asan_poison_memory_region
        poison(ctypes.c_void_p(address), ctypes.c_size_t(size))
