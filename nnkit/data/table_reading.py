"""Tables of any library, column by column, as numbers or texts with what is missing.

By narwhals, which reads those of pandas, polars, Arrow and others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnkit.data.errors import DataError
from nnkit.reasons import importing, printable

Kind = Literal["numbers", "wholes", "flags", "texts"]
"""Numbers, whole numbers, true or false, and texts or categories."""

ROWS = 1 << 16
"""Rows whose texts are read at once."""

SHOWN = 10
"""How many names of columns are shown in a message."""


class Column(NamedTuple):
    """A column's values (n,): float64, with NaN where one is missing, or texts, with "" there."""

    name: str
    kind: Kind
    values: NDArray[Any]
    missing: NDArray[np.bool_]

    def texts(self) -> NDArray[Any]:
        """Values as texts: whole numbers without a point, flags as False and True."""
        if self.kind == "texts":
            return self.values
        if self.kind == "flags":
            return np.where(self.values == 1, "True", "False").astype(object)
        known = np.where(self.missing, 0, self.values)
        return np.array([*map(written, known.tolist())], object)


def written(number: float) -> str:
    """Write a number as text, each in the same way whatever others there are."""
    return str(int(number)) if number % 1 == 0 else str(number)


def opened(frame: Any) -> Any:
    """Return a table as narwhals has it; raises TypeError, with the remedy, for anything else.

    Raises DataError where two columns have one name.
    """
    with importing("narwhals", "narwhals", "tables are read by narwhals: pip install narwhals"):
        import narwhals.stable.v2 as nw
    if hasattr(frame, "collect") and not hasattr(frame, "__array__"):
        raise TypeError("a table that is not computed yet has no rows: give frame.collect()")
    try:
        table = nw.from_native(frame, eager_only=True)
    except nw.exceptions.DuplicateError as error:
        names = getattr(frame, "column_names", frame.columns)
        raise DataError(twice(names) or str(error)) from error
    except TypeError as error:
        kind = f"{type(frame).__module__}.{type(frame).__name__}".removeprefix("builtins.")
        raise TypeError(
            f"from_table takes a table of pandas, polars or Arrow, not {kind}: such as "
            "pandas.DataFrame(...)"
        ) from error
    if problem := twice(table.columns):  # such as 1 and "1"
        raise DataError(problem)
    return table


def twice(names: Iterable[Any]) -> str | None:
    """Say that two columns have one name, and what to do; None where none have."""
    several = [name for name, columns in Counter(map(str, names)).items() if columns > 1]
    return (
        f"two columns are called {several[0]!r}: give each a name of its own" if several else None
    )


def names_of(table: Any) -> list[str]:
    """Return the names of a table's columns as text."""
    return [str(name) for name in table.columns]


def column(table: Any, name: str, what: str = "column") -> Column:
    """Return a column by its name. Raises DataError where there is none, or it is no such values.

    `what` a message is to call it.
    """
    names = names_of(table)
    if name not in names:
        raise DataError(f"the table has no {what} {name!r}: {listed(names)}")
    series = table.get_column(table.columns[names.index(name)])
    read = _read(series)
    if read is None:
        raise DataError(f"{what} {name!r} holds {_strange(series)}")
    kind, values = read
    missing = np.asarray(series.is_null().to_numpy(), bool)
    if kind != "texts":
        missing = missing | np.isnan(values)
        infinite = np.isinf(values)
        if infinite.any():
            raise DataError(
                f"{what} {name!r} holds infinity, first in row {int(infinite.argmax())}: leave "
                "such rows out"
            )
    return Column(name, kind, values, missing)


def listed(names: Sequence[str]) -> str:
    """Say which columns there are."""
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return f"it has {', '.join(map(printable, names[:SHOWN]))}{more}"


def _read(series: Any) -> tuple[Kind, NDArray[Any]] | None:
    """Return a column's kind and values, None where it has another."""
    import narwhals.stable.v2 as nw

    dtype = series.dtype
    if dtype.is_numeric():
        kind: Kind = "wholes" if dtype.is_integer() else "numbers"
        return kind, np.array(series.cast(nw.Float64).to_numpy(), np.float64)
    if dtype == nw.Boolean:
        return "flags", np.array(series.cast(nw.Float64).to_numpy(), np.float64)
    if dtype == nw.String or isinstance(dtype, nw.Categorical | nw.Enum):
        return "texts", _shared(series.cast(nw.String))
    if _is_untyped(series):
        both = zip(series.to_list(), series.is_null().to_list(), strict=True)
        return _of_objects([None if lacking else value for value, lacking in both])
    return None


def _is_untyped(series: Any) -> bool:
    """Whether it holds Python's objects of any kind, as columns of pandas may."""
    import narwhals.stable.v2 as nw

    return series.dtype in (nw.Unknown, nw.Object)


def _of_objects(values: list[Any]) -> tuple[Kind, NDArray[Any]] | None:
    """Return what Python's objects are, if they are all of one kind."""
    known = [value for value in values if value is not None]
    if all(isinstance(value, bool | np.bool_) for value in known):
        return "flags", _as_floats(values)
    if all(isinstance(value, str) for value in known):
        return "texts", _as_texts(values)
    if all(isinstance(value, int | float | np.integer | np.floating) for value in known):
        whole = all(isinstance(value, int | np.integer) for value in known)
        return "wholes" if whole else "numbers", _as_floats(values)
    return None


def _shared(series: Any) -> NDArray[Any]:
    """Return texts as objects, one for all that are the same: there may be millions of rows."""
    texts, known = np.empty(len(series), object), dict[str, str]()
    for i in range(0, len(series), ROWS):
        part = _as_texts(series[i : i + ROWS].to_list()).tolist()
        texts[i : i + ROWS] = [known.setdefault(text, text) for text in part]
    return texts


def _as_floats(values: list[Any]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _as_texts(values: list[Any]) -> NDArray[Any]:
    return np.array([value if isinstance(value, str) else "" for value in values], object)


def _strange(series: Any) -> str:
    """Say what is neither a number nor a text, and what to do."""
    if series.dtype.is_temporal():
        return (
            "dates or times: make numbers of them, such as the year or the days since one, or "
            "leave it out with drop (--drop)"
        )
    kinds = {type(value).__name__ for value in series.to_list() if value is not None}
    shown = " and ".join(sorted(kinds)) if _is_untyped(series) else str(series.dtype)
    return (
        f"values that are no numbers, texts or categories, but {shown}: leave it "
        "out with drop (--drop)"
    )
