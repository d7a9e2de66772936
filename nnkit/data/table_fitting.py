"""What the training part of a table decides about how its columns are encoded."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnkit.data.errors import DataError
from nnkit.data.labels import in_order
from nnkit.data.table_checking import mean_and_std
from nnkit.data.table_columns import Categories, Numbers
from nnkit.data.table_reading import Column
from nnkit.showing.words import counted

MOST_VALUES = 100
"""Texts of a column that get a number of their own, the most frequent ones."""

LEAST_ROWS = 2
"""Rows of the training part that a text must be in for that."""

FEW_VALUES = 20
"""With more texts than that, and another one in more than half of the rows, they are names."""


def fitted(column: Column, impute: bool) -> tuple[Numbers | Categories, str]:
    """Decide by the training part how a column is encoded, and say what is not plain.

    Where values may be missing, `impute`, they are filled in. Raises DataError for texts that name
    rows, and for numbers that are too large.
    """
    known, marked = column.values[~column.missing], bool(column.missing.any())
    if not len(known):
        raise DataError(f"column {column.name!r} has no values: leave it out with drop (--drop)")
    if column.kind == "texts":
        return _categories(column, known, impute)
    if column.kind == "flags":
        return Numbers(column.name, fill=0.5 if impute else None, marked=marked), ""
    median = float(np.median(known))
    fill, filled = (median if impute else None), np.where(column.missing, median, column.values)
    note = f"{column.name} is always {known[0]:g}" if (known == known[0]).all() else ""
    return Numbers(column.name, *mean_and_std(column, filled), fill, marked), note


def _categories(column: Column, known: NDArray[Any], impute: bool) -> tuple[Categories, str]:
    frequent = Counter(known.tolist())
    if len(frequent) > FEW_VALUES and len(frequent) > len(known) / 2:
        raise DataError(
            f"column {column.name!r} has {len(frequent):,} different texts in {len(known):,} rows, "
            "which seem to name the rows rather than to describe them: leave it out with "
            f"drop=[{column.name!r}] (--drop {column.name})"
        )
    often = [x for x, rows in frequent.most_common(MOST_VALUES) if rows >= LEAST_ROWS]
    rare = len(frequent) - len(often)
    note = f"{counted(rare, 'rare value')} of {column.name} taken as one" if rare else ""
    marked = bool(column.missing.any())
    return Categories(column.name, in_order(often), bool(rare), impute, marked), note
