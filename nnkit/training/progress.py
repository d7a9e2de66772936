"""Where a run stands: all that is needed to continue it, but for the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nnkit.schedules import Schedule

MOST = 2**53
"""No count is larger: up to here a float64 has every whole number."""


@dataclass
class Progress:
    """Where a run stands. With the seeds in it, nothing else is needed to continue it.

    Raises ValueError for numbers that no run can have.
    """

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
    weighted: bool = False
    """Whether examples have weights, which a run that is resumed must be given again."""

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Raise ValueError for numbers that no run can have: examples are found by them."""
        least = {"epochs": 1, "batch_size": 1, "examples": 1, "accumulate": 1}
        for name in (*least, "first_epoch", "epoch", "step"):
            value = getattr(self, name)
            if not least.get(name, 0) <= value <= MOST:
                raise ValueError(f"a run cannot have {name} {value}")
        if self.batch_size > self.examples:
            raise ValueError(
                f"a run cannot have batch_size {self.batch_size} and {self.examples} examples"
            )
        if self.validation_split is not None and not 0 < self.validation_split < 1:
            raise ValueError(f"a run cannot have validation_split {self.validation_split}")
        if self.step > self.steps or (self.step % self.accumulate and self.step < self.steps):
            raise ValueError(
                f"a run cannot be at step {self.step} of {self.steps}, in updates of "
                f"{self.accumulate} steps"
            )

    @property
    def steps(self) -> int:
        """Steps per epoch; the last batch may be smaller."""
        return -(-self.examples // self.batch_size)

    @property
    def together(self) -> int:
        """Steps that share an update, as far as there are so many."""
        return min(self.accumulate, self.steps)

    def batch_sizes(self, steps: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Examples in each of the first `steps` batches; the last of an epoch may be smaller."""
        return np.minimum(self.batch_size, self.examples - self.batch_size * np.arange(steps))

    def next_batches(self, ahead: int = 0) -> list[int]:
        """Sizes of the batches up to the next update, or to the one that is some steps ahead."""
        first = self.step + ahead
        steps = range(first, min(first + self.together, self.steps))
        return [min(self.batch_size, self.examples - step * self.batch_size) for step in steps]

    def factors(self, schedule: Schedule) -> np.ndarray[Any, Any]:
        """Return the schedule's factor in each step of the current epoch.

        Raises ValueError where one is negative or no number.
        """
        together = self.together
        updates = -(-self.steps // together)
        first, total = self.epoch * updates, self.epochs * updates
        try:
            factors = np.array([float(schedule(first + i, total)) for i in range(updates)])
        except ArithmeticError as error:
            raise ValueError(f"the schedule {schedule!r} cannot be computed: {error}") from error
        for i in np.flatnonzero(~(np.isfinite(factors) & (factors >= 0))):
            raise ValueError(
                f"a schedule must give factors of at least 0, but it gives {factors[i]} "
                f"for update {first + i} of {total}"
            )
        return np.repeat(factors, together)[: self.steps]

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
