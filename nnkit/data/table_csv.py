"""Tables in CSV files: how a file is written shows in it, and what is wrong is told by its line."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from nnkit.data.table_reading import twice
from nnkit.files.memory import too_much

if TYPE_CHECKING:
    import polars

MISSING = ["", "NA", "N/A", "NaN", "nan", "null"]
"""What stands in a CSV file where a value is missing."""

SEPARATORS = ",;\t"
QUOTED = re.compile(r'(^|[,;\t])"(?:[^"]|"")*"')
"""A name in quotation marks, in which commas separate nothing."""

LOOKED_AT = 1 << 20
"""Bytes that are read at once, and in the first of which are the names of columns."""

SAMPLE = 10_000
"""Rows by which the kind of a column is found, if the others then are of it."""

CELL = 32
"""Bytes that a value takes in polars and in the arrays made of it, beside those of long texts."""

GZIP = b"\x1f\x8b"
"""How packed files begin."""


def read_csv(file: BinaryIO, numbers: Collection[str] | None = None) -> polars.DataFrame:
    """Read a CSV file, packed or not.

    Its first line shows whether commas, semicolons or tabs separate values; between semicolons
    each column may have decimal commas or points. `numbers` are the columns whose values may be
    numbers or flags, all others then being texts as they are written; by default the values of
    each column show what they are.
    Raises ValueError for what cannot be read.
    """
    import polars

    text = _unpacked(file)
    start = _decoded(text[: text.find(b"\n", LOOKED_AT) + 1 or None])
    first = QUOTED.sub(r"\1", start.lstrip("\r\n")).partition("\n")[0]
    separator = max(SEPARATORS, key=first.count)
    names = next(filter(None, csv.reader(io.StringIO(start, ""), delimiter=separator)), [])
    if problem := twice(names):
        raise ValueError(problem)
    _refuse_too_much(CELL * len(names) * text.count(b"\n"))
    texts = [] if numbers is None else [name for name in names if name not in numbers]
    options: dict[str, Any] = {
        "separator": separator,
        "decimal_comma": separator == ";",
        "null_values": MISSING,
        "try_parse_dates": True,
        "new_columns": names,  # polars keeps "" doubled in quotation marks
        "schema_overrides": dict.fromkeys(texts, polars.String),
    }
    try:
        table = _read(text, options)
    except polars.exceptions.ComputeError as error:
        raise ValueError(_problem(text, separator, len(names), error)) from error
    return _with_points(table, texts) if separator == ";" else table


def _read(text: bytes, options: dict[str, Any]) -> polars.DataFrame:
    """Read by what all values of each column show.

    Where the first rows show it, polars refuses others after them, and is many times as fast; but
    not of decimal commas, beside which it takes points.
    """
    import polars

    if not options["decimal_comma"]:
        with suppress(polars.exceptions.PolarsError):
            table = polars.read_csv(text, infer_schema_length=SAMPLE, **options)
            shown = table.head(SAMPLE).null_count().row(0) if len(table) > SAMPLE else ()
            if SAMPLE not in shown:
                return table
    return polars.read_csv(text, infer_schema_length=None, **options)


def _with_points(table: polars.DataFrame, texts: Collection[str]) -> polars.DataFrame:
    """Make numbers of columns in which each value is one with a decimal point."""
    import polars

    for each in table.select(polars.col(polars.String).exclude(texts)).iter_columns():
        numbers = each.cast(polars.Float64, strict=False)
        if numbers.null_count() == each.null_count():
            table = table.with_columns(numbers)
    return table


def _unpacked(file: BinaryIO) -> bytes:
    """Read a file to its end, as far as memory allows: a small one may unpack to anything."""
    packed = file.read(len(GZIP)) == GZIP
    file.seek(0)
    stream: Any = gzip.GzipFile(fileobj=file) if packed else file
    text = io.BytesIO()
    while chunk := stream.read(LOOKED_AT):
        _refuse_too_much(text.tell() + len(chunk))
        text.write(chunk)
    return text.getvalue()


def _refuse_too_much(n_bytes: int) -> None:
    if too_much(n_bytes):
        raise ValueError("it takes more than half of the free memory: give fewer rows or columns")


def _decoded(text: bytes) -> str:
    """Return text without the mark at its beginning; raises ValueError where it is not in UTF-8."""
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"its line {line:,} is not in UTF-8: save it in this encoding, such as by the file "
            'type "CSV UTF-8" of Excel'
        ) from error


def _problem(text: bytes, separator: str, names: int, error: Exception) -> str:
    """Say in which line something is wrong; else what polars says, without its advice."""
    rows = csv.reader(io.StringIO(_decoded(text), ""), delimiter=separator)
    for line, row in _numbered(rows):
        if len(row) > names:
            return (
                f"its line {line:,} has {len(row):,} values, but there are names of {names:,} "
                f"columns: put values with {separator!r} in them in quotation marks"
            )
    return str(error).partition("\n")[0]


def _numbered(rows: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield each row with the line in which it begins."""
    line = 1
    for row in rows:
        yield line, row
        line = rows.line_num + 1
