"""Feeding a device from a data set that is too large for it, a block of batches at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.backends import Backend
from nnkit.given.rows import Rows

BLOCK_BYTES = 64 << 20
"""Size of a block: large enough that copying it is fast, small enough to start soon."""


def at_once(x: Any, wanted: int) -> int:
    """How many of the wanted rows to evaluate at a time: sparse ones, when dense, may be wide."""
    if not isinstance(x, Rows):
        return wanted
    return max(1, min(wanted, BLOCK_BYTES // max(1, x[:1].nbytes)))


class Feed:
    """Two blocks of rows on the device, filled in turn: one is used while the other is copied.

    Row i of the epoch lies at row ``i % len(x)`` of `x`, so that a captured step finds it like any
    other.

    Parameters
    ----------
    host
        The whole data set, a NumPy array of any kind (a memory map for instance), or `Rows`.
    rows
        Rows that belong together, those of an update: a block is a multiple of them.
    """

    def __init__(self, backend: Backend, host: np.ndarray[Any, Any] | Rows, rows: int) -> None:
        row_bytes = max(1, host[:1].nbytes)
        most = -(-len(host) // rows)
        self.rows = rows * min(most, max(1, BLOCK_BYTES // (row_bytes * rows)))
        self.backend, self.host = backend, host
        self.x = backend.empty((2 * self.rows, *host.shape[1:]), host.dtype)
        self.positions = backend.asarray(np.arange(len(host)) % len(self.x))
        self._order = np.arange(0)
        self._copies: dict[int, Any] = {}

    def begin(self, order: np.ndarray[Any, Any], host: Any) -> None:
        """Start an epoch in this order of a data set like the first; nothing of it is there yet."""
        self._order, self.host = order, host
        self._copies = {}

    def require(self, row: int) -> int:
        """Have later work find row `row` of the epoch; return how many rows from it are there."""
        block = row // self.rows
        for wanted in (block, block + 1):
            if wanted not in self._copies:
                self._copies[wanted] = self._copy(wanted)
        self._copies.pop(block - 1, None)
        self.backend.wait_for(self._copies[block])
        return (block + 1) * self.rows - row

    def _copy(self, block: int) -> Any:
        chosen = self._order[block * self.rows : (block + 1) * self.rows]
        if not len(chosen):
            return None
        start = block % 2 * self.rows
        return self.backend.copy_from_host(self.host[chosen], self.x[start : start + len(chosen)])
