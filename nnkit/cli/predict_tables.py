"""``nnkit predict`` of the rows of a table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from nnkit.cli.command import Failure
from nnkit.data import TableEncoder
from nnkit.data.table_files import read_rows, write_csv
from nnkit.files.paths import expand
from nnkit.reasons import printable
from nnkit.training import Trainer

SHOWN = 3
"""How many classes are shown in the line of each row."""


def predict_tables(
    trainer: Trainer,
    encoder: TableEncoder,
    files: Sequence[str],
    top: int | None,
    as_json: bool,
    out: Path | None,
) -> None:
    """Say what the network makes of each row, in lines, as JSON, or as a CSV file with them."""
    if out is not None and len(files) > 1:
        raise Failure("--out writes the rows of a single table: give one file")
    records = []
    for file in files:
        frame, x = read_rows(expand(file), encoder)
        found = [*_records(trainer, encoder, x)]
        if out is not None:
            write_csv(out, frame, encoder.target.name, found)
            click.echo(f"{len(found):,} rows with predictions saved in {printable(str(out))}")
        elif as_json:
            records += [{"file": file, "row": i + 1, **each} for i, each in enumerate(found)]
        else:
            for i, each in enumerate(found):
                click.echo(f"{printable(file)} row {i + 1}: {_line(each, top or SHOWN)}")
    if as_json and out is None:
        click.echo(json.dumps(records, indent=2))


def _records(
    trainer: Trainer, encoder: TableEncoder, x: np.ndarray[Any, Any]
) -> Iterator[dict[str, Any]]:
    """For each row the amount, or the class with its probability, and those of all classes."""
    if encoder.regression:
        yield from ({"amount": each} for each in encoder.decode(trainer.predict(x)).tolist())
        return
    probabilities = trainer.predict_proba(x)
    answers = encoder.decode(probabilities.argmax(axis=1)).tolist()
    names = encoder.decode(np.arange(probabilities.shape[1])).tolist()
    for answer, row in zip(answers, probabilities, strict=True):
        by_name = dict(zip(names, map(float, row), strict=True))
        yield {"class": answer, "probability": by_name[answer], "probabilities": by_name}


def _line(record: dict[str, Any], top: int) -> str:
    if "amount" in record:
        return f"{record['amount']:.6g}"
    by_name = sorted(record["probabilities"].items(), key=lambda each: -each[1])
    return "  ".join(f"{printable(name)} ({value:.1%})" for name, value in by_name[:top])
