"""Tables on the command line: the column to tell, and rows of files as a network takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from nnkit.cli.command import Decorated, Failure
from nnkit.data import Table, TableEncoder
from nnkit.data.table_files import load_encoded, read_examples
from nnkit.files.paths import expand
from nnkit.training import Trainer


def _listed(_: click.Context, __: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Read names of columns, each in an option of its own or with commas in between."""
    return tuple(name.strip() for names in value for name in names.split(",") if name.strip())


def table_options(function: Decorated) -> Decorated:
    """Add --target, --drop, --impute, and --regression or --classification."""
    options = (
        click.option(
            "--target",
            metavar="COLUMN",
            help="Of a table: the column that is to be told from the others.",
        ),
        click.option(
            "--drop",
            multiple=True,
            callback=_listed,
            metavar="COLUMNS",
            help="Of a table: columns to leave out, with commas.",
        ),
        click.option(
            "--impute",
            is_flag=True,
            help="Of a table: fill missing values in, and tell the network where.",
        ),
        click.option(
            "--regression/--classification",
            default=None,
            help="Of a table: whether the target is an amount or a class.  [default: an amount if "
            "it has fractions]",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def encoder_of(trainer: Trainer) -> TableEncoder | None:
    """Return how a network's rows were made of a table; None if it was not trained on one."""
    return (
        TableEncoder.of(trainer.extra["table_encoder"])
        if "table_encoder" in trainer.extra
        else None
    )


def dataset_of(
    encoder: TableEncoder, trained_on: Any, path: str, data: str | None, moved: bool
) -> Table:
    """Load a table for a network trained on one: what it was trained on, split as then.

    All rows of another table, `data`, are to test with, unless it is that one, `moved`.
    """
    file = expand(trained_on if data is None else data) if data or trained_on else None
    if file is None:
        raise Failure(f"{path} does not say which data it was trained on: name it, as DATA")
    if data is None or moved or str(file.resolve()) == trained_on:
        return load_encoded(file, encoder)
    x, t = read_examples(file, encoder)
    names = getattr(encoder.target, "values", ())
    how: dict[str, Any] = {"image_shape": None, "class_names": names, "encoder": encoder}
    return Table(Path(file).name, x[:0], t[:0], x, t, **how)


def errors(encoder: TableEncoder, loss: float) -> tuple[float, float]:
    """Return mean squared error and its root in the target's units, of the loss of scaled ones."""
    squared = loss * float(getattr(encoder.target, "std", 1.0)) ** 2
    return squared, float(np.sqrt(squared))
