"""Setting a part of the examples aside, to validate with."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.targets import as_classes, places_in_class

Rows = np.ndarray[Any, np.dtype[np.int64]]
NEVER_AN_EPOCH = 2**64 - 1
"""Epochs draw from streams of random numbers with their own numbers, and this from one more."""


def split(t: np.ndarray[Any, Any], aside: int, seed: int) -> tuple[Rows, Rows]:
    """Draw `aside` of the rows at random, of each class its share; return the others, and them.

    Both are sorted. The same targets and seed give the same rows.
    """
    key = np.array([seed % 2**64, NEVER_AN_EPOCH], np.uint64)
    rng = np.random.Generator(np.random.Philox(key=key))
    kinds = _kinds(t)
    counts = np.bincount(kinds)
    exact = counts * (aside / len(t))
    shares = np.floor(exact + 1e-9).astype(np.int64)
    # What is left over goes to the classes that lost most by rounding down, ties at random.
    ties = rng.permutation(len(counts))
    order = ties[np.argsort((shares - exact)[ties], kind="stable")]
    shares[order[: aside - shares.sum()]] += 1
    drawn = places_in_class(kinds, rng.permutation(len(t))) < shares[kinds]
    return np.flatnonzero(~drawn), np.flatnonzero(drawn)


def _kinds(t: np.ndarray[Any, Any]) -> Rows:
    """Number the classes of labels (n,) or (n, 1), or of one-hot rows; all else is one kind."""
    classes = as_classes(t)
    if classes is None:
        return np.zeros(len(t), np.int64)
    kinds: Rows = np.unique(classes, return_inverse=True)[1].reshape(-1)
    return kinds
