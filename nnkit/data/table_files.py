"""Tables in files: CSV and Parquet, read by polars."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnkit.data.damage import damage
from nnkit.data.errors import DataError
from nnkit.data.files import check_file
from nnkit.data.table import Table, from_encoder, from_table
from nnkit.data.table_csv import read_csv
from nnkit.data.table_encoder import TableEncoder
from nnkit.data.table_reading import listed
from nnkit.files import atomic
from nnkit.files.paths import open_file
from nnkit.reasons import importing

if TYPE_CHECKING:
    import polars

PARQUET = (".parquet", ".pq")
SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", *PARQUET)
"""How names of tables end."""


def is_table(path: Path) -> bool:
    """Whether a file's name is that of a table."""
    return path.name.lower().endswith(SUFFIXES)


def read_table(path: Path, numbers: Collection[str] | None = None) -> polars.DataFrame:
    """Read a CSV or Parquet file; of CSV, `numbers` are as in `read_csv`.

    Raises DataError where it cannot be read, and without polars and narwhals.
    """
    check_file(path)
    try:
        for library in ("polars", "narwhals"):
            with importing(
                library, library, f"tables are read by {library}: pip install {library}"
            ):
                import polars
    except ImportError as error:
        raise DataError(f"{path}: {error}") from error
    packed = path.name.lower().endswith(PARQUET)
    with damage(path, "cannot be read as a table"), _no_panic(polars), open_file(path) as file:
        table = polars.read_parquet(file) if packed else read_csv(file, numbers)
    if not table.height:
        raise DataError(f"{path}: has no rows")
    return table


@contextmanager
def _no_panic(polars: Any) -> Iterator[None]:
    """Have polars fail with an Exception where a damaged file takes it by surprise."""
    try:
        yield
    except polars.exceptions.PanicException as error:
        raise ValueError("it is damaged") from error


def load_table(
    path: Path,
    target: str | None,
    drop: Sequence[str],
    impute: bool,
    regression: bool | None,
    seed: int,
) -> Table:
    """Load a table from a file; the arguments are those of `from_table`."""
    table = read_table(path)
    if target is None:
        raise DataError(
            f"{path}: say which column is to be told from the others, target=... (--target): "
            f"{listed(table.columns)}"
        )
    options = {"drop": drop, "impute": impute, "regression": regression, "seed": seed}
    try:
        return from_table(table, target, name=path.resolve().name, **options)  # type: ignore[arg-type]
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def read_rows(path: Path, encoder: TableEncoder) -> tuple[polars.DataFrame, NDArray[np.float32]]:
    """Read a table with any rows; return it, and its rows as the network takes them."""
    table = read_table(path, encoder.numbers)
    try:
        return table, encoder.encode(table)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def read_examples(path: Path, encoder: TableEncoder) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Read a table with the target in it; return its rows, and its targets."""
    table, x = read_rows(path, encoder)
    try:
        return x, encoder.encode_target(table)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def write_csv(
    path: Path, table: polars.DataFrame, target: str, answers: Sequence[Mapping[str, Any]]
) -> None:
    """Write a table with the answers to its rows, each an "amount", or "class" and "probability".

    They are in columns called as the target, with "predicted" in front. Raises DataError where
    there are such columns, OSError where the file cannot be written.
    """
    import polars

    names = {"amount": f"predicted {target}", "class": f"predicted {target}"}
    names["probability"] = f"probability of predicted {target}"
    for key, name in names.items():
        if key in answers[0]:
            if name in table.columns:
                raise DataError(f"there is a column {name!r} already: leave it out")
            table = table.with_columns(polars.Series(name, [each[key] for each in answers]))
    atomic.replace(path, table.write_csv().encode())


def load_encoded(path: Path, encoder: TableEncoder) -> Table:
    """Load a table as it was split and encoded in training, by what the checkpoint keeps."""
    try:
        return from_encoder(read_table(path, encoder.numbers), encoder, path.resolve().name)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
