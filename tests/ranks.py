"""Ranks as threads of one process: what several processes do, without starting them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from nnkit.backends.contract import Array, Backend
from nnkit.distributed.contract import Communicator, RankError

SECONDS = 60
"""After which a rank that waits for another gives up."""


class Table:
    """Where all ranks put something down, and take what the others have put there."""

    def __init__(self, size: int) -> None:
        self.places: list[Any] = [None] * size
        self.barrier = threading.Barrier(size, timeout=SECONDS)
        self.reason = "a rank does not answer"


class ThreadRank(Communicator):
    """One of several ranks of this process; `reductions` counts those of arrays.

    `compressed` has the sizes of those that may be sent in 16 bits.
    """

    def __init__(self, table: Table, rank: int) -> None:
        self._table, self.rank, self.size = table, rank, len(table.places)
        self.local_rank, self.local_size = rank, self.size
        self.reductions = 0
        self.compressed: list[int] = []

    def all_reduce(self, backend: Backend, array: Array, compress: bool = False) -> None:
        if compress:
            self.compressed.append(array.size)
        backend.call(lambda: self._reduce(backend, array))

    def _reduce(self, backend: Backend, array: Array) -> None:
        self.reductions += 1
        parts = self.gather(np.array(backend.to_numpy(array)))
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        array[...] = backend.asarray(total)

    def gather(self, value: Any) -> list[Any]:
        try:
            self._table.places[self.rank] = value
            self._table.barrier.wait()
            found = list(self._table.places)
            self._table.barrier.wait()
        except threading.BrokenBarrierError:
            raise RankError(self._table.reason) from None
        return found

    def fail(self, reason: str) -> None:
        self._table.reason = f"rank {self.rank} of {self.size} ended: {reason}"
        self._table.barrier.abort()


def on_ranks(size: int, work: Callable[[Communicator], Any]) -> list[Any]:
    """Do work on so many ranks at once; returns what each returned, or raises the first error."""
    table = Table(size)

    def one(rank: int) -> Any:
        communicator = ThreadRank(table, rank)
        try:
            return work(communicator)
        except BaseException as error:
            communicator.fail(f"{type(error).__name__}: {error}")
            raise

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(one, range(size)))
