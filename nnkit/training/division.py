"""Batches divided among ranks: consecutive rows of each, whose gradients and losses are joined."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.backends import Array, Backend
from nnkit.layers.workspace import Share
from nnkit.training.ranks import Ranks

Rows = np.ndarray[Any, np.dtype[np.int64]]


class Division:
    """How each batch of `batch_size` examples, or fewer at an epoch's end, is divided among ranks.

    A rank gathers its part as if it were a batch of `rows` examples, of which it uses the first
    ones: as many as its share has, perhaps none.
    """

    def __init__(self, ranks: Ranks, batch_size: int) -> None:
        if batch_size < ranks.size:
            raise ValueError(
                f"batch_size {batch_size} is less than the {ranks.size} ranks, which each need an "
                f"example: give a batch_size of at least {ranks.size}, or start fewer ranks"
            )
        self.ranks, self.batch_size = ranks, batch_size
        self.rows = -(-batch_size // ranks.size)

    def share(self, whole: int) -> Share | None:
        """A rank's part of a batch of so many examples; None where no other rank has any."""
        if self.ranks.communicator is None or self.ranks.alone:
            return None
        mine = self.ranks.share(whole)
        return Share(self.ranks.communicator, mine.start, mine.stop - mine.start, whole)

    def order(self, order: Rows) -> Rows:
        """Of examples in order those that this rank gathers, `rows` of each batch.

        Where its share has fewer, those behind it are there in their place, and are not used; at
        the end nothing is.
        """
        if self.ranks.alone:
            return order
        starts = np.arange(0, len(order), self.batch_size)
        whole = np.minimum(self.batch_size, len(order) - starts)
        shares = [self.ranks.share(rows) for rows in whole.tolist()]
        first = np.array([each.start for each in shares])
        within = np.minimum(first[:, None] + np.arange(self.rows), whole[:, None] - 1)
        mine: Rows = order[starts[:, None] + within].reshape(-1)
        unused = self.rows - (shares[-1].stop - shares[-1].start)
        return mine[: len(mine) - unused]

    def add_up(self, backend: Backend, gradients: Array) -> None:
        """Replace this rank's part of gradients by the sum of all parts."""
        if self.ranks.communicator is not None and not self.ranks.alone:
            self.ranks.communicator.all_reduce(backend, gradients, compress=True)

    def joined(self, log: np.ndarray[Any, Any], batches: Rows) -> np.ndarray[Any, Any]:
        """Log of steps of batches of these sizes: mean losses and right answers of all ranks.

        `log` (steps, 2) is that of this rank's rows.
        """
        if self.ranks.alone:
            return log
        total = np.zeros_like(log)
        size = self.ranks.size
        for rank, part in enumerate(self.ranks.gather(log)):
            rows = batches * (rank + 1) // size - batches * rank // size
            total[:, 0] += part[:, 0] * (rows / batches)
            total[:, 1] += part[:, 1]
        return total
