"""Blocks of memory. What was given back is kept and made NaN, so that its late use shows."""

from __future__ import annotations

import bisect

import numpy as np

from tests.device.memory import ALIGNMENT, POISON
from tests.device.stub_driver import functions


class Allocations:
    """Blocks of one kind of memory, by address."""

    def __init__(self) -> None:
        self.blocks: dict[int, np.ndarray] = {}
        self._starts: list[int] = []
        self._freed: list[np.ndarray] = []

    def allocate(self, size: int) -> int:
        memory = np.full(size + ALIGNMENT, POISON, np.uint8)
        start = -memory.ctypes.data % ALIGNMENT
        block = memory[start : start + size]
        address = int(block.ctypes.data)
        self.blocks[address] = block
        bisect.insort(self._starts, address)
        return address

    def free(self, address: int | None) -> None:
        if address:
            block = self.blocks.pop(address, None)
            if block is None:
                raise functions.Refused(functions.INVALID_VALUE)
            self._starts.remove(address)
            block.fill(POISON)
            self._freed.append(block)

    def hold(self, address: int | None) -> bool:
        """Whether an address lies in a block."""
        at = bisect.bisect(self._starts, address or 0)
        return at > 0 and (address or 0) < self._starts[at - 1] + self._size(at - 1)

    def _size(self, number: int) -> int:
        return self.blocks[self._starts[number]].size


on_device, pinned = Allocations(), Allocations()


def is_held(address: int) -> bool:
    """Whether a kernel may use an address; pinned memory has the same one on the device."""
    return on_device.hold(address) or pinned.hold(address)
