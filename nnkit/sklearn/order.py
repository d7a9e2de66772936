"""The order of examples that scikit-learn draws."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.training.progress import Progress


class Order(Progress):
    """A run whose epochs have scikit-learn's orders: each shuffles that of the epoch before.

    They are drawn from a generator one after the other, so that such a run cannot be resumed.
    """

    random: np.random.RandomState
    _rows: np.ndarray[Any, np.dtype[np.int64]]

    @classmethod
    def of(cls, run: Progress, random: np.random.RandomState) -> Order:
        """Make one of a run that has not begun."""
        order = cls(**vars(run))
        order.random, order._rows = random, np.arange(run.examples, dtype=np.int64)
        return order

    def orders(self, epochs: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Examples in the order of the next epochs, one after the other."""
        return np.concatenate([self._next() for _ in range(epochs)])

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is as long as the data; a pickled estimator begins its next run anew."""
        return {name: x for name, x in vars(self).items() if name not in ("random", "_rows")}

    def _next(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        if self.shuffle:
            places = np.arange(self.examples)
            self.random.shuffle(places)
            self._rows = self._rows[places]
        return self._rows
