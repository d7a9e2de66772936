"""What a network is to tell about the rows of a table: a class of several, or a number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnkit.data.errors import DataError
from nnkit.data.labels import MAX_CLASSES, in_order
from nnkit.data.table_checking import (
    example_of,
    mean_and_std,
    refuse_missing,
    refuse_texts_among_numbers,
    standardised,
)
from nnkit.data.table_reading import Column, written

MOST_WHOLES = 50
"""With more different whole numbers than that, whether they are classes has to be said."""


@dataclass(frozen=True)
class Classes:
    """Class numbers of texts, categories, flags or whole numbers, in the order of `values`."""

    name: str
    values: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))
        if len({*self.values}) < len(self.values) or len(self.values) < 2:
            raise ValueError(f"target {self.name!r}: its values are no classes")

    @property
    def are_numbers(self) -> bool:
        """Whether they are numbers or flags, not texts of which some may look like numbers."""
        return {*self.values} == {"False", "True"} or all(map(_is_written, self.values))

    def encode(self, column: Column) -> NDArray[Any]:
        """Return class numbers, int64 (n,); DataError for a class that is none of these."""
        refuse_missing(column, "target")
        number = {value: i for i, value in enumerate(self.values)}
        texts = column.texts()
        numbers = np.fromiter((number.get(text, -1) for text in texts), np.int64, len(texts))
        if (numbers < 0).any():
            unknown = texts[numbers.argmin()]
            raise DataError(
                f"target {self.name!r} has {unknown!r}, which was not in training: leave such rows "
                "out"
            )
        return numbers

    def decode(self, answers: NDArray[Any]) -> NDArray[Any]:
        """Return the classes that numbers (n,) stand for, as text."""
        names: NDArray[Any] = np.array(self.values)[np.asarray(answers).reshape(-1)]
        return names


@dataclass(frozen=True)
class Amounts:
    """``(t - mean) / std`` of the training part: networks learn from numbers of about -1 to 1."""

    name: str
    mean: float
    std: float

    def __post_init__(self) -> None:
        if not (abs(self.mean) < inf and 0 < self.std < inf):
            raise ValueError(f"target {self.name!r}: mean or std are no such numbers")

    @property
    def are_numbers(self) -> bool:
        """As of `Classes`."""
        return True

    def encode(self, column: Column) -> NDArray[Any]:
        """Return scaled numbers, float32 (n,); DataError for texts."""
        refuse_missing(column, "target")
        if column.kind == "texts":
            raise DataError(
                f"target {self.name!r} holds text such as {example_of(column)!r}, and no numbers"
            )
        return standardised(column, column.values, self.mean, self.std, "target")

    def decode(self, answers: NDArray[Any]) -> NDArray[Any]:
        """Return outputs (n,) or (n, 1) as the numbers that they stand for, float64 (n,)."""
        return np.asarray(answers, np.float64).reshape(-1) * self.std + self.mean


def _is_written(text: str) -> bool:
    """Whether a text is what `written` makes of a number: "7", and not "007"."""
    try:
        return written(float(text)) == text
    except ValueError:
        return False


def chosen(column: Column, regression: bool | None) -> Callable[[Column], Classes | Amounts]:
    """Return what makes a target of the training part: classes, or `Amounts`.

    None for `regression` decides by the values: numbers with a fraction are amounts, all else
    classes. Raises DataError where that is not clear, or where there is nothing to learn.
    """
    refuse_missing(column, "target")
    refuse_texts_among_numbers(column, "target")
    different = len({*column.values.tolist()})
    if different < 2:
        raise DataError(
            f"target {column.name!r} has the same value in all rows: there is nothing to learn"
        )
    if regression is None and column.kind == "wholes" and different > MOST_WHOLES:
        raise DataError(
            f"target {column.name!r} has {different:,} different whole numbers: say whether they "
            "are amounts, regression=True (--regression), or classes, regression=False "
            "(--classification)"
        )
    amounts = column.kind == "numbers" if regression is None else regression
    if not amounts and different > MAX_CLASSES:
        raise DataError(f"target {column.name!r} has {different:,} values, too many for classes")
    return _amounts if amounts else lambda _: Classes(column.name, in_order(column.texts()))


def _amounts(train: Column) -> Amounts:
    if train.kind == "texts":
        raise DataError(
            f"target {train.name!r} holds text such as {example_of(train)!r}: amounts are numbers"
        )
    return Amounts(train.name, *mean_and_std(train, train.values, "target"))
