"""Columns of tables, of pandas, polars and Arrow, as NumPy arrays."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from nnkit.dtypes import is_number
from nnkit.reasons import importing
from nnkit.showing.words import counted

Values = np.ndarray[Any, Any]


class Library(NamedTuple):
    """How a library's columns are read, and what their rows without a value are dealt with by."""

    tables: tuple[str, ...]
    columns: tuple[str, ...]
    """Its classes of tables, and those of single columns."""
    items: Callable[[Any], Iterable[tuple[Any, Any]]]
    """Names and columns of a table."""
    values: Callable[[Any], Values]
    lacking: Callable[[Any], Any]
    """Which values of a column are missing."""
    remedy: str


def _arrow_items(table: Any) -> Iterable[tuple[Any, Any]]:
    return zip(table.schema.names, table.columns, strict=True)


def _arrow_values(column: Any) -> Values:
    several = hasattr(column, "chunks")
    values: Values = column.to_numpy() if several else column.to_numpy(zero_copy_only=False)
    return values


LIBRARIES = {
    "pandas": Library(
        ("DataFrame",),
        ("Series", "Index"),
        lambda frame: frame.items(),
        lambda column: column.to_numpy(),
        lambda column: column.isna(),
        "fill them, x.fillna(...), or leave the rows out, x.dropna()",
    ),
    "polars": Library(
        ("DataFrame",),
        ("Series",),
        lambda frame: ((column.name, column) for column in frame.iter_columns()),
        lambda column: column.to_numpy(),
        lambda column: column.is_null(),
        "fill them, x.fill_null(...), or leave the rows out, x.drop_nulls()",
    ),
    "pyarrow": Library(
        ("Table", "RecordBatch"),
        ("Array", "ChunkedArray"),
        _arrow_items,
        _arrow_values,
        lambda column: column.is_null(),
        "fill them, pyarrow.compute.fill_null(column, ...), or leave the rows out, x.drop_null()",
    ),
}
"""By the names of their modules, which are looked for where they are imported already."""


def read(given: Any) -> Values | None:
    """Return a table as a matrix (n, columns), a column as an array (n,); None for anything else.

    A matrix is a copy, of the dtype that all columns fit in; a column is one only where its library
    makes one. Raises ValueError, naming the column, where values are missing, and TypeError for a
    table with columns that are no numbers, or one that is not computed yet.
    """
    for name, library in LIBRARIES.items():
        module = sys.modules.get(name)
        if module is None:
            continue
        if _is(given, module, library.tables):
            return _matrix(library, given)
        if _is(given, module, library.columns):
            return _column(library, given, getattr(given, "name", None))
        if _is(given, module, ("LazyFrame",)):
            raise TypeError("a LazyFrame has no rows yet: give x.collect()")
    if hasattr(given, "__arrow_c_stream__") and not hasattr(given, "__array__"):
        with importing("pyarrow", "pyarrow", "this table is read by pyarrow: pip install pyarrow"):
            import pyarrow
        return _matrix(LIBRARIES["pyarrow"], pyarrow.table(given))
    return None


def is_one(given: Any) -> bool:
    """Whether it is a table, or a column of one."""
    loaded = ((sys.modules.get(name), library) for name, library in LIBRARIES.items())
    return any(_is(given, m, (*each.tables, *each.columns)) for m, each in loaded if m is not None)


def _is(given: Any, module: Any, classes: Iterable[str]) -> bool:
    return any(isinstance(given, getattr(module, name, ())) for name in classes)


def _column(library: Library, column: Any, name: Any) -> Values:
    """Return a column's values; of text, too, about which the caller knows more to say."""
    lacking = np.asarray(library.lacking(column))
    if lacking.any():
        which = "a column" if name in (None, "") else f"column {name!r}"
        missing = counted(int(lacking.sum()), "value")
        raise ValueError(
            f"{which} lacks {missing}, first in row {int(lacking.argmax())}: {library.remedy}"
        )
    return library.values(column)


def _matrix(library: Library, table: Any) -> Values:
    columns = [(name, _column(library, each, name)) for name, each in library.items(table)]
    for name, values in columns:
        if not is_number(values.dtype):
            raise TypeError(f"column {name!r} holds {_kind(values)}")
    if not columns:
        raise ValueError("a table without columns was given")
    dtype = np.result_type(*(values.dtype for _, values in columns))
    return np.stack([values.astype(dtype, copy=False) for _, values in columns], axis=1)


def _kind(values: Values) -> str:
    """Say what no numbers are, and what to do."""
    text = next((each for each in values.tolist() if isinstance(each, str)), None)
    if text is not None:
        return (
            f"text such as {text!r}: nnkit.data.from_table(frame, target=...) makes numbers of a "
            "table's columns; or leave the column out"
        )
    if values.dtype.kind in "mM":
        return "dates or times: make numbers of them, such as the year, or leave the column out"
    return f"no numbers, but {values.dtype}: leave the column out, or make numbers of it"
