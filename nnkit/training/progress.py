"""Where a run stands: all that is needed to continue it, but for the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nnkit.schedules import Schedule


@dataclass
class Progress:
    """Where a run stands. With the seeds in it, nothing else is needed to continue it."""

    epochs: int
    batch_size: int
    seed: int
    shuffle: bool
    examples: int
    first_epoch: int
    """Epochs that earlier runs of the same trainer had made: no two epochs share an order."""
    epoch: int = 0
    """Finished epochs of this run."""
    step: int = 0
    """Finished steps of the current epoch."""
    accumulate: int = 1
    """Steps, of a batch each, that share an update."""
    validation_split: float | None = None
    """Part of the data that was set aside; `examples` are those left."""

    @property
    def steps(self) -> int:
        """Steps per epoch; the last batch may be smaller."""
        return -(-self.examples // self.batch_size)

    def batch_sizes(self, steps: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Examples in each of the first `steps` batches; the last of an epoch may be smaller."""
        return np.minimum(self.batch_size, self.examples - self.batch_size * np.arange(steps))

    def next_batches(self) -> list[int]:
        """Sizes of the batches up to the next update."""
        steps = range(self.step, min(self.step + self.accumulate, self.steps))
        return [min(self.batch_size, self.examples - step * self.batch_size) for step in steps]

    def factors(self, schedule: Schedule) -> np.ndarray[Any, Any]:
        """Return the schedule's factor in each step of the current epoch.

        Raises ValueError where one is negative or no number.
        """
        updates = -(-self.steps // self.accumulate)
        first, total = self.epoch * updates, self.epochs * updates
        factors = np.array([float(schedule(first + i, total)) for i in range(updates)])
        for i in np.flatnonzero(~(np.isfinite(factors) & (factors >= 0))):
            raise ValueError(
                f"a schedule must give factors of at least 0, but it gives {factors[i]} "
                f"for update {first + i} of {total}"
            )
        return np.repeat(factors, self.accumulate)[: self.steps]

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return self.epoch >= self.epochs

    def orders(self, epochs: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Examples in the order of the current epoch, and of those after it, one after the other.

        Each epoch's is a function of the seed and its number alone.
        """
        if not self.shuffle:
            return np.tile(np.arange(self.examples), epochs)
        first = self.first_epoch + self.epoch
        return np.concatenate([self._order(first + i) for i in range(epochs)])

    def _order(self, epoch: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        key = np.array([self.seed % 2**64, epoch], np.uint64)
        return np.random.Generator(np.random.Philox(key=key)).permutation(self.examples)
