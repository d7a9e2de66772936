"""A table as a network takes it: decided once, by the training part, and kept in its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnkit.data.errors import DataError
from nnkit.data.table_columns import Categories, Numbers
from nnkit.data.table_reading import column, opened
from nnkit.data.table_targets import Amounts, Classes
from nnkit.files.checking import make
from nnkit.files.memory import too_much
from nnkit.files.plain import plain
from nnkit.showing.warning import DataWarning, warn

KINDS: dict[str, Any] = {kind.__name__: kind for kind in (Numbers, Categories, Amounts, Classes)}
SHOWN = 3
"""How many unknown texts of a column a warning shows."""


@dataclass(frozen=True)
class TableEncoder:
    """Makes numbers of a table's columns, and answers of a network's.

    `nnkit.data.from_table` makes one of the training part; ``data.encoder.encode(frame)`` then
    treats other tables alike. It is a plain value: ``trainer.save(path,
    table_encoder=data.encoder.config())`` keeps it, as ``nnkit predict`` and ``nnkit evaluate``
    look for it, and ``TableEncoder.of(trainer.extra["table_encoder"])`` has it again.

    Attributes
    ----------
    columns : tuple
        How each column is encoded, in order.
    target : Classes or Amounts
        What is to be told: ``target.values`` are the names of the classes; of amounts there are
        ``target.mean`` and ``target.std``.
    """

    columns: tuple[Numbers | Categories, ...]
    target: Classes | Amounts

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What each of the numbers of a row is, such as "age" or "city=Rome"."""
        return tuple(name for each in self.columns for name in each.features)

    @property
    def regression(self) -> bool:
        """Whether the target is an amount, not a class."""
        return isinstance(self.target, Amounts)

    @property
    def numbers(self) -> set[str]:
        """Columns that are read as numbers or flags; others as texts, "007" too, as in training."""
        of_numbers = {each.name for each in self.columns if isinstance(each, Numbers)}
        return of_numbers | ({self.target.name} if self.target.are_numbers else set())

    def encode(self, frame: Any) -> NDArray[np.float32]:
        """Return a table's rows as numbers, (n, features); columns that are not needed are ignored.

        Raises DataError for a column that is missing, lacks values or has changed its kind. Warns
        (`DataWarning`) of texts that were not there in training.
        """
        table = opened(frame)
        for each in self.columns:
            if isinstance(each, Categories) and not each.other:
                _warn_of_unknown(each.name, each.unknown(column(table, each.name)))
        return self.encoded(table)

    def encoded(self, table: Any) -> NDArray[np.float32]:
        """The same of a table opened by narwhals, without a warning."""
        numbers = len(self.feature_names)
        if too_much(4 * len(table) * numbers):
            raise DataError(
                f"{len(table):,} rows of {numbers:,} numbers take more than half of the free "
                "memory: leave columns out with drop (--drop), or take fewer rows"
            )
        parts = [each.encode(column(table, each.name)) for each in self.columns]
        return np.ascontiguousarray(np.concatenate(parts, axis=1))

    def encode_target(self, frame: Any) -> NDArray[Any]:
        """Return class numbers, int64 (n,), or scaled amounts, float32 (n,)."""
        return self.target.encode(column(opened(frame), self.target.name, "target"))

    def decode(self, answers: NDArray[Any]) -> NDArray[Any]:
        """Return what `Trainer.predict` gives as names of classes, or as amounts, (n,)."""
        return self.target.decode(answers)

    def config(self) -> dict[str, Any]:
        """Return it as JSON has it."""

        def said(each: Any) -> Any:
            return plain({"kind": type(each).__name__, **asdict(each)}, each.name)

        return {"columns": [said(each) for each in self.columns], "target": said(self.target)}

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> TableEncoder:
        """Make one of what `config` gave; raises ValueError for anything else."""
        if not isinstance(config, Mapping) or {*config} != {"columns", "target"}:
            raise ValueError(f"a table's encoder cannot be {config!r}")
        if not isinstance(config["columns"], list | tuple):
            raise ValueError(f"a table's columns cannot be {config['columns']!r}")
        columns = tuple(_made(each, (Numbers, Categories)) for each in config["columns"])
        if not columns or len({each.name for each in columns}) < len(columns):
            raise ValueError("a table's encoder has no columns, or two of one name")
        return cls(columns, _made(config["target"], (Classes, Amounts)))


def _warn_of_unknown(name: str, texts: list[str]) -> None:
    if texts:
        more = f" and {len(texts) - SHOWN:,} more" if len(texts) > SHOWN else ""
        warn(
            f"column {name!r} has {', '.join(map(repr, texts[:SHOWN]))}{more}, not seen in "
            "training: taken for none of the values that were",
            DataWarning,
        )


def _made(config: Any, classes: tuple[type, ...]) -> Any:
    """Make a column's or the target's encoding of what a file says."""
    values = dict(config) if isinstance(config, Mapping) else {}
    kind = KINDS.get(str(values.pop("kind", None)))
    if kind not in classes:
        raise ValueError(f"a table's encoder cannot have {config!r}")
    return make(kind, values)
