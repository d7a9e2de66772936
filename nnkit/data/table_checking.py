"""Values of a table that no network can be given: missing, too large, or texts among numbers."""

from __future__ import annotations

import re
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnkit.data.errors import DataError
from nnkit.data.table_reading import Column
from nnkit.showing.words import counted

ROUNDING = 1e-12
"""A standard deviation of so small a share of the mean is rounding, of numbers that are equal."""

NUMBER = {
    mark: re.compile(rf"[-+]?((0|[1-9]\d*)([{mark}]\d+)?|[{mark}]\d+)(e[-+]?\d+)?", re.I | re.A)
    for mark in ".,"
}
"""Numbers as people write them, with a point or a comma; codes begin with zeros: 007."""

REMEDIES = {
    "column": "leave the cell empty where the value is missing, and use impute=True (--impute), or "
    "leave the column out with drop (--drop)",
    "target": "leave such rows out",
}

NUMBERS = 5
"""With so many different numbers for each other text, a column holds numbers."""


def example_of(column: Column) -> str:
    """Return a text that a column of texts holds, one that is no number if there is any."""
    known: list[str] = column.values[~column.missing].tolist()
    return next((text for text in known if not NUMBER["."].fullmatch(text)), known[0])


def refuse_texts_among_numbers(column: Column, what: str = "column") -> None:
    """Raise DataError, with the remedy, where a few texts make one of a column of numbers."""
    different = {*column.values[~column.missing].tolist()} if column.kind == "texts" else set()
    for number in NUMBER.values():
        texts = {text for text in different if not number.fullmatch(text)}
        if texts and len(different) >= (NUMBERS + 1) * len(texts):
            row = next(i for i, text in enumerate(column.values) if text in texts)
            raise DataError(
                f"{what} {column.name!r} holds the text {column.values[row]!r} among numbers, "
                f"first in row {row}: {REMEDIES[what]}; or if all are codes, "
                "put a letter in front of each"
            )


def refuse_missing(column: Column, what: str = "column") -> None:
    """Raise DataError, with the remedy, where values are missing."""
    if column.missing.any():
        missing = counted(int(column.missing.sum()), "value")
        imputed = "have missing ones filled in with impute=True (--impute), or "
        raise DataError(
            f"{what} {column.name!r} lacks {missing}, first in row {int(column.missing.argmax())}: "
            f"{'' if what == 'target' else imputed}leave such rows out"
        )


def standardised(
    column: Column, values: NDArray[Any], mean: float, std: float, what: str = "column"
) -> NDArray[np.float32]:
    """Return ``(values - mean) / std``; raises DataError for what is too large for float32."""
    with np.errstate(over="ignore"):
        scaled: NDArray[np.float32] = ((values - mean) / std).astype(np.float32)
    too_large = ~np.isfinite(scaled)
    if too_large.any():
        raise DataError(
            f"{what} {column.name!r} holds {values[too_large][0]:g}, which is too large: leave "
            "such rows out"
        )
    return scaled


def mean_and_std(column: Column, values: NDArray[Any], what: str = "column") -> tuple[float, float]:
    """Return mean and standard deviation, 1 for constants; raises DataError for infinite ones."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean, std = float(values.mean()), float(values.std())
    if not (isfinite(mean) and isfinite(std)):
        largest = float(np.abs(values).max())
        raise DataError(
            f"{what} {column.name!r} holds numbers of up to {largest:g}, which are too large: "
            "leave such rows out"
        )
    return mean, std if std > ROUNDING * abs(mean) else 1.0
