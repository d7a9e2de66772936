"""How a column of a table becomes numbers for a network: standardised, or one-hot."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from nnkit.data.errors import DataError
from nnkit.data.table_checking import example_of, refuse_missing, standardised
from nnkit.data.table_reading import Column

OTHER, MISSING = "(other)", "(missing)"


@dataclass(frozen=True)
class Numbers:
    """``(x - mean) / std`` of the training part; true and false are 1 and 0, as they are.

    Where values may be missing, `fill` stands in their place; if some were in training, a second
    number says in which rows.
    """

    name: str
    mean: float = 0.0
    std: float = 1.0
    fill: float | None = None
    marked: bool = False

    def __post_init__(self) -> None:
        finite = all(abs(x) < inf for x in (self.mean, self.std, self.fill or 0.0))
        if not (finite and self.std > 0):
            raise ValueError(f"column {self.name!r}: mean, std or fill are no such numbers")

    @property
    def features(self) -> list[str]:
        """What the numbers are called."""
        return [self.name, f"{self.name}={MISSING}"] if self.marked else [self.name]

    def encode(self, column: Column) -> NDArray[np.float32]:
        """Return (n, features); raises DataError for texts, and where values are missing."""
        if column.kind == "texts" and not column.missing.all():
            raise DataError(
                f"column {self.name!r} holds text such as {example_of(column)!r}, but held "
                "numbers in training"
            )
        missing = column.missing
        if self.fill is None:
            refuse_missing(column)
            values = column.values
        else:
            known = np.zeros(len(missing)) if column.kind == "texts" else column.values
            values = np.where(missing, self.fill, known)
        scaled = standardised(column, values, self.mean, self.std)
        both = [scaled, missing] if self.marked else [scaled]
        return np.stack(both, axis=1).astype(np.float32)


@dataclass(frozen=True)
class Categories:
    """A number for each text, 1 in the rows with it and else 0.

    Texts that were in fewer than two rows of training, or not among its hundred most frequent ones,
    share one if `other`; those that were not there at all have it too, or are 0 everywhere. Where
    values may be missing, `fill`, they have a number of their own if some were in training.
    """

    name: str
    values: tuple[str, ...]
    other: bool = False
    fill: bool = False
    marked: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))
        if len({*self.values}) < len(self.values):
            raise ValueError(f"column {self.name!r}: two of its values are the same")

    @property
    def features(self) -> list[str]:
        """What the numbers are called."""
        extra = [OTHER] * self.other + [MISSING] * self.marked
        return [f"{self.name}={value}" for value in (*self.values, *extra)]

    def unknown(self, column: Column) -> list[str]:
        """Texts that have no number of their own."""
        texts = {*column.texts()[~column.missing].tolist()}
        return sorted(texts - {*self.values})

    def encode(self, column: Column) -> NDArray[np.float32]:
        """Return (n, features); raises DataError where values are missing, if none may be."""
        if not self.fill:
            refuse_missing(column)
        place = {value: i for i, value in enumerate(self.values)}
        elsewhere = len(place) if self.other else -1
        texts = column.texts()
        places = np.fromiter((place.get(text, elsewhere) for text in texts), int, len(texts))
        places[column.missing] = len(place) + self.other if self.marked else -1
        encoded = np.zeros((len(places), len(self.features)), np.float32)
        rows = np.flatnonzero(places >= 0)
        encoded[rows, places[rows]] = 1
        return encoded
