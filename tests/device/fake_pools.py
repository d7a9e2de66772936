"""The look-alikes of CuPy's allocators and pool of device memory.

CuPy's pool gives freed memory at once to the next array of the same size and stream. That is right
where work on this stream alone uses it; work on another that comes too late destroys what is no
longer its own.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.device import memory, queues
from tests.device.fake_streams import current_stream
from tests.device.memory import Memory

TOTAL_MEMORY = 80 * 2**30
UNIT = 512
"""Memory is given out in multiples of it."""

Allocator = Callable[[int], object]
_local = threading.local()


class Block:
    """The memory of a device array, free as soon as this object is.

    Work refers to the `Memory` alone, and so does not keep it from being used again.
    """

    def __init__(self, memory: Memory, pool: object, stream: int) -> None:
        self.memory, self.pool, self.stream = memory, pool, stream

    def __del__(self) -> None:
        queue = queues.current() if queues else None  # gone at the interpreter's exit
        if queue is not None:
            key = self.pool, self.stream, self.memory.used
            queue.freed.setdefault(key, []).append(self.memory)


def allocate(shape: Any, dtype: Any, order: str) -> tuple[np.ndarray, Block]:
    """Ask the current allocator, which may raise, and return an array and what keeps it."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    given = _allocator()(size)
    pool = given if isinstance(given, MemoryPool) else None
    stream, queue, freed = current_stream(), queues.current(), None
    if queue is not None:
        size = max(1, -(-size // UNIT)) * UNIT
        freed = queue.freed.get((pool, stream.ptr, size))
    used = freed.pop() if freed else None
    block = Block(memory.reserve(size) if used is None else used, pool, stream.ptr)
    array = memory.array_in(block.memory, shape, dtype, order, poisoned=used is None)
    if used is not None and stream._capture is None:  # a graph would poison it at each launch
        queue.submit(lambda: memory.poison(array), stream, implicit=False)
    return array, block


class MemoryPool:
    """A memory pool, as `cupy.cuda.MemoryPool`; where work is not put off it keeps nothing."""

    def __init__(self, allocator: Any = None) -> None:
        self._limit = 0

    def malloc(self, size: int) -> MemoryPool:
        """Allow an allocation; return whose freed memory it may use."""
        return self

    def used_bytes(self) -> int:
        """Return the size of all arrays, whichever pool they are from."""
        return Memory.live_bytes - sum(block.used for _, block in _freed())

    def total_bytes(self) -> int:
        """Return the size of all arrays and of what is free."""
        return Memory.live_bytes

    def free_bytes(self) -> int:
        """Return the size of freed memory that is kept."""
        return sum(block.used for pool, block in _freed() if pool is self)

    def n_free_blocks(self) -> int:
        """Return how many pieces of freed memory are kept."""
        return sum(pool is self for pool, _ in _freed())

    def free_all_blocks(self, stream: Any = None) -> None:
        """Give back what freed memory there is; the device has to have done its work for that."""
        queue = queues.current()
        kept = [key for key in queue.freed if key[0] is self] if queue else []
        if queue and kept:
            queues.synchronize()
            for key in kept:
                queue.freed.pop(key, None)

    def set_limit(self, size: int | None = None, fraction: float | None = None) -> None:
        """Limit the size of the pool."""
        self._limit = int(TOTAL_MEMORY * fraction) if size is None else size

    def get_limit(self) -> int:
        """Return the limit, 0 for none."""
        return self._limit


def _freed() -> list[tuple[object, Memory]]:
    queue = queues.current()
    freed = {} if queue is None else queue.freed
    return [(pool, block) for (pool, *_), blocks in freed.items() for block in blocks]


default_pool = MemoryPool()


def _malloc(size: int) -> None:
    """Allow an allocation, as CuPy's allocator without a pool."""


_defaults: list[Allocator] = [default_pool.malloc]


def _allocator() -> Allocator:
    return getattr(_local, "allocator", None) or _defaults[0]


def set_allocator(allocator: Allocator | None = None) -> None:
    """Have arrays ask another allocator, in every thread."""
    if getattr(_local, "allocator", None) is not None:
        raise ValueError("Can't change the global allocator inside `using_allocator` context")
    _defaults[0] = allocator or _malloc


@contextlib.contextmanager
def using_allocator(allocator: Allocator | None = None) -> Iterator[None]:
    """Have this thread's arrays ask another allocator inside a with statement."""
    before = getattr(_local, "allocator", None)
    _local.allocator = allocator or _malloc
    try:
        yield
    finally:
        _local.allocator = before
