"""Rows on the host that are read, made dense, real and scaled a block at a time."""

from __future__ import annotations

from math import isfinite, prod
from typing import Any

import numpy as np

from nnkit.dtypes import as_reals

Index = slice | np.ndarray[Any, Any]
"""A block of rows, or their numbers in any order."""


class Rows:
    """Examples (n, ...) of a source too large to be converted whole: a block is, when it is read.

    Parameters
    ----------
    source
        A sparse matrix of SciPy's with rows in order (CSR), or a NumPy array, a memory map for
        instance.
    dtype, factor
        What blocks are converted to, and multiplied by.
    """

    def __init__(self, source: Any, dtype: Any = None, factor: float = 1) -> None:
        self.source, self.factor = source, factor
        self.sparse = not isinstance(source, np.ndarray)
        self.shape: tuple[int, ...] = tuple(source.shape)
        self.dtype = np.dtype(source.dtype if dtype is None else dtype)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many numbers there are."""
        count: int = prod(self.shape)
        return count

    @property
    def nbytes(self) -> int:
        """Bytes of all rows, if they were converted."""
        return self.size * int(self.dtype.itemsize)

    def ends(self) -> tuple[float, float] | None:
        """Smallest and largest number of a sparse matrix, by those that are stored, and 0.

        None where these are not finite, or the source is none: then rows have to be looked at.
        """
        if not self.sparse:
            return None
        stored = self._reals(self.source.data)
        ends = [float(stored.min()), float(stored.max())] if stored.size else [0.0]
        if self.source.nnz < self.size:
            ends.append(0.0)
        return (min(ends), max(ends)) if all(map(isfinite, ends)) else None

    def converted(self, dtype: Any, factor: float) -> Rows:
        """The same rows in another dtype, multiplied by a factor."""
        return Rows(self.source, dtype, self.factor * factor)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Index) -> np.ndarray[Any, Any]:
        block = self.source[index]
        dense = block.toarray() if self.sparse else np.asarray(block)
        return self._reals(dense)

    def _reals(self, numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Convert numbers; those that are too large for the dtype become infinite."""
        with np.errstate(over="ignore"):
            real: np.ndarray[Any, Any] = as_reals(numbers, self.dtype, self.factor)
        return real
