"""Tables as data sets: split, and encoded by what their training part shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnkit.data.dataset import Dataset
from nnkit.data.errors import DataError
from nnkit.data.splitting import HELD_OUT, held_out
from nnkit.data.splitting import NOTE as NOTE_OF_CLASSES
from nnkit.data.table_checking import refuse_missing, refuse_texts_among_numbers
from nnkit.data.table_encoder import TableEncoder
from nnkit.data.table_fitting import fitted
from nnkit.data.table_reading import column, listed, names_of, opened
from nnkit.data.table_targets import Classes, chosen
from nnkit.reasons import printable

NOTE = f"1 in {HELD_OUT} held out for testing"


@dataclass(frozen=True, repr=False, eq=False)
class Table(Dataset):
    """Rows of a table as numbers, split into a training and a test set.

    As `Dataset`, with `x_train` and `x_test` of float32, (N, features). `t_train` and `t_test` are
    class numbers, int64 (N,), or amounts, float32 (N,), scaled; then there are no `class_names`.

    Attributes
    ----------
    encoder : TableEncoder
        How rows became numbers, and how answers become what they stand for.
    """

    encoder: TableEncoder = field(kw_only=True)

    @property
    def n_outputs(self) -> int:
        """Numbers that a network gives: one for each class, or the amount."""
        return self.n_classes or 1

    @property
    def noun(self) -> str:
        """What an example is called."""
        return "rows"

    @property
    def told(self) -> str:
        """What is to be told of an example, in words."""
        kind = f"{self.n_classes} classes" if self.n_classes else "amounts"
        return f"{kind} of {self.encoder.target.name!r}"

    def __repr__(self) -> str:
        return (
            f"Table({self.name!r}: {len(self.x_train)} training and {len(self.x_test)} test rows "
            f"of {self.x_train.shape[1]} numbers, {self.told}"
            + (f"; {printable(self.note)})" if self.note else ")")
        )


def from_table(
    frame: Any,
    target: str,
    *,
    test: Any = None,
    drop: Sequence[str] = (),
    impute: bool = False,
    regression: bool | None = None,
    name: str = "table",
    seed: int = 0,
) -> Table:
    """Make a data set of a table of pandas, polars or Arrow.

    Numbers are standardised, by mean and standard deviation of the training part. True and false
    are 1 and 0. Texts and categories become a 1 among zeros, of the hundred most frequent ones that
    are in two rows of the training part at least; the others share one number.

    Parameters
    ----------
    frame
        The table: a row an example.
    target : str
        The column that is to be told from the others. Texts, categories, flags and whole numbers
        are classes, numbers with a fraction amounts.
    test
        A table of its own to test with; otherwise one row in five is held out, at random, of each
        class its share.
    drop : sequence of str
        Columns that are left out, such as names and numbers of rows.
    impute : bool
        Whether missing values are filled in: the median of the training part, with a second number
        that says in which rows; of texts, missing is a value like others.
    regression : bool, optional
        Whether the target is an amount (True) or a class (False), where its values do not show.
    name : str
        What the data set is called.
    seed : int
        Chooses the rows held out.

    Returns
    -------
    Table
        It has an `encoder`, which treats other tables alike.

    Raises
    ------
    DataError
        For a column that is not there, holds dates or the like, lacks values or has a text of its
        own in each row: the message names it, and says what to do.
    TypeError
        For what is no table.
    ImportError
        Without narwhals (the extra ``table``).
    """
    table = opened(frame)
    answers = column(table, str(target), "target")
    make_target = chosen(answers, regression)
    used = _used(table, answers.name, (drop,) if isinstance(drop, str) else drop, impute)
    aside = np.zeros(len(table), bool)
    if test is None:
        kinds = make_target(answers)
        aside = _aside(kinds.encode(answers), isinstance(kinds, Classes), seed, name)
    train = _rows(table, ~aside)
    decided = [fitted(column(train, each), impute) for each in used]
    kind = make_target(column(train, answers.name, "target"))
    encoder = TableEncoder(tuple(each for each, _ in decided), kind)
    notes = [note for _, note in decided if note]
    if test is None:
        notes.insert(0, NOTE if encoder.regression else NOTE_OF_CLASSES)
    other = _rows(table, aside) if test is None else opened(test)
    return _assembled(train, other, encoder, name, "; ".join(notes))


def from_encoder(frame: Any, encoder: TableEncoder, name: str, seed: int = 0) -> Table:
    """Make a data set of a table that was split and encoded before, in the same way."""
    table = opened(frame)
    labels = encoder.encode_target(frame)
    aside = _aside(labels, not encoder.regression, seed, name)
    return _assembled(_rows(table, ~aside), _rows(table, aside), encoder, name, "")


def _used(table: Any, target: str, drop: Sequence[str], impute: bool) -> list[str]:
    """Return the columns to tell the target by; raises DataError where one cannot be used."""
    names = names_of(table)
    for each in drop:
        if each not in names:
            raise DataError(f"drop: the table has no column {each!r}: {listed(names)}")
    used = [each for each in names if each not in (target, *drop)]
    if not used:
        raise DataError(f"the table has no column beside the target {target!r}")
    for each in used:  # of the whole table, whose rows a message names
        read = column(table, each)
        if not impute:
            refuse_missing(read)
        refuse_texts_among_numbers(read)
    return used


def _aside(labels: NDArray[Any], are_classes: bool, seed: int, name: str) -> NDArray[np.bool_]:
    """Choose the rows to test with."""
    kinds = labels if are_classes else np.zeros(len(labels), np.int64)
    if not len(kinds) or np.bincount(kinds).max() < 2:
        raise DataError(
            f"{name}: there are no two rows of one class, so that none can be held out for testing"
        )
    return held_out(kinds, seed, name)


def _rows(table: Any, chosen: NDArray[np.bool_]) -> Any:
    return table.filter(chosen.tolist())


def _assembled(train: Any, test: Any, encoder: TableEncoder, name: str, note: str) -> Table:
    def answers(part: Any) -> NDArray[Any]:
        return encoder.target.encode(column(part, encoder.target.name, "target"))

    return Table(
        name=name,
        x_train=encoder.encoded(train),
        t_train=answers(train),
        x_test=encoder.encoded(test),
        t_test=answers(test),
        image_shape=None,
        class_names=() if encoder.regression else encoder.target.values,  # type: ignore[union-attr]
        note=note,
        encoder=encoder,
    )
