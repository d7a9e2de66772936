"""A table of the run's figures, which grows by a row after each epoch."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from nnkit.callbacks.figures import figures_now
from nnkit.callbacks.monitoring import figures_of
from nnkit.files import atomic
from nnkit.files.paths import expand
from nnkit.given.keywords import explained
from nnkit.given.options import shown
from nnkit.reasons import reason
from nnkit.showing.warning import warn
from nnkit.training.callbacks import Callback
from nnkit.training.history import History

if TYPE_CHECKING:
    from nnkit.training import Trainer


class CSVLogger(Callback):
    """Write a CSV file of all epochs: "epoch" from 1, the figures of `History`, the rate "lr".

    ``pandas.read_csv`` and spreadsheets read it, also while the run is made. `fit` replaces the
    file. `resume` begins with the epochs that its run has had, so that each has one row, whatever
    was written before a kill; the rates of those epochs are kept in checkpoints of the run, and
    left out where they are not known.

    Parameters
    ----------
    path
        Where to.

    Raises OSError, before the first step, where the file cannot be written. Where that happens
    later, a warning says so and training goes on.
    """

    on_every_rank = False

    @explained
    def __init__(self, path: str | PathLike[str]) -> None:
        if not isinstance(path, str | PathLike):
            raise TypeError(f"CSVLogger: path must be a path, not {shown(path)}")
        self.path = path
        self._history: History | None = None
        self._rates: dict[int, float] = {}
        self._columns: list[str] = []
        self._torn = False
        """Whether the file may end in a part of a row."""

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Write the header, and the rows of what was made before the run was resumed."""
        if trainer.history is not self._history:
            self._history, self._rates = trainer.history, {}
        names = dict.fromkeys([*figures_of(trainer), *trainer.history.to_dict()])
        self._columns = ["epoch", *(name for name in names if name != "seconds"), "lr", "seconds"]
        self._write(trainer)

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Add a row; where that failed the last time, write all."""
        epoch, figures = len(trainer.history) - 1, figures_now(trainer)
        self._rates[epoch], torn, self._torn = figures["lr"], self._torn, True
        try:
            if torn:
                self._write(trainer)
            else:
                with expand(self.path).open("ab") as file:
                    file.write(self._lines([{"epoch": epoch + 1, **figures}]))
            self._torn = False
        except OSError as error:
            why = error.strerror or reason(error)
            warn(f"CSVLogger: {self.path} cannot be written: {why}; training goes on", UserWarning)

    def _write(self, trainer: Trainer) -> None:
        """Replace the file by the header and the rows of all epochs."""
        figures = trainer.history.to_dict()
        rows = [
            {"epoch": i + 1, "lr": self._rates.get(i), **{k: v[i] for k, v in figures.items()}}
            for i in range(len(trainer.history))
        ]
        header = {name: name for name in self._columns}
        atomic.replace(self.path, self._lines([header, *rows]))

    def _lines(self, rows: Iterable[Mapping[str, Any]]) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([row.get(name) for name in self._columns] for row in rows)
        return text.getvalue().encode()

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return the learning rates of the epochs."""
        epochs = np.array([*self._rates], np.int64)
        rates = np.array([*self._rates.values()], np.float64)
        return {"epoch": epochs, "lr": rates} if self._rates else {}

    def restore(self, trainer: Trainer, state: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Take over the learning rates of the epochs."""
        epochs, rates = state["epoch"], state["lr"]
        if (epochs.dtype, rates.dtype) != (np.int64, np.float64) or epochs.ndim != 1:
            raise ValueError("its epochs are no list of numbers")
        self._history = trainer.history
        self._rates = dict(zip(epochs.tolist(), rates.tolist(), strict=True))
