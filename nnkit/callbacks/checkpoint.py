"""Saving the run while it is made."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from nnkit.callbacks import names
from nnkit.callbacks.monitoring import Monitoring, figures_of
from nnkit.files.paths import expand
from nnkit.given.keywords import explained
from nnkit.given.options import flag, integer
from nnkit.reasons import reason
from nnkit.showing.warning import warn

if TYPE_CHECKING:
    from nnkit.training import Trainer


class Checkpoint(Monitoring):
    """Save the trainer after epochs, each time in one step: a kill leaves the file before.

    What is written is what `Trainer.save` writes: `Trainer.load` and `resume` go on from there, and
    `nnkit.load` takes the model alone. It is written when all other callbacks have seen the epoch,
    wherever they are in the list. Where a file cannot be written, or the weights are no numbers any
    more, a warning says so and training goes on.

    Parameters
    ----------
    path
        Where to. "{epoch}", from 1, and figures such as "{val_loss:.3f}" are filled in; without
        them the file is replaced each time.
    monitor
        With `best_only`, the figure to go by: "val_loss", "val_accuracy", "loss", "accuracy", or a
        metric of your own, such as "val_f1".
    best_only
        Whether to save an epoch only if it is better than all before.
    every
        Save after every so many epochs, and (without `best_only`) after the last one; others are
        not looked at.
    keep
        How many files to keep, at least 1: older ones of this run are removed. None: all. The path
        must have figures in it then.
    mode
        "min" if the figure is to fall, "max" if it is to rise. None knows that losses are to fall
        and accuracies to rise; a metric of your own needs it.
    min_delta
        What an epoch must be better by than the best before, to count as better.

    Raises ValueError, before the first step, if the run will not have a figure that is needed.
    """

    comes_last = True
    on_every_rank = False

    path: str = names.Template()  # type: ignore[assignment]
    best_only: bool = flag()
    every: int = integer(least=1)
    keep: int | None = integer(least=1, none=True)

    @explained
    def __init__(
        self,
        path: str | PathLike[str],
        monitor: str = "val_loss",
        best_only: bool = False,
        every: int = 1,
        keep: int | None = None,
        mode: str | None = None,
        min_delta: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.path = path  # type: ignore[assignment]
        self.best_only = best_only
        self.every = every
        self.keep = keep
        self.last_path: Path | None = None
        """The file that was written last; with `best_only` that of the best epoch."""
        self._paths: list[Path] = []
        """Files of the run, the newest last."""
        self._saved: list[int] = []
        """Epochs that were saved before the run was resumed."""
        if self.keep is not None and not names.fields(self.path):
            raise ValueError(
                f"Checkpoint: there is but one file {self.path!r}, which is replaced each time: "
                "leave keep out, or put {epoch} into the path"
            )

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Check the figures that are asked for, and find what an earlier part of the run saved."""
        names.check("Checkpoint", self.path, figures_of(trainer))
        self._paths, self.last_path, self._saved = [], None, []
        if self.best_only:
            self._begin(trainer)
        else:
            for epoch in range(len(trainer.history)):
                self._passed(epoch, self._due(epoch))
        figures = trainer.history.to_dict()
        for epoch in self._saved:
            self._note(self._path_of(figures, epoch))

    def _due(self, epoch: int) -> bool:
        return (epoch + 1) % self.every == 0

    def _improves(self, epoch: int, value: float) -> bool:
        """Whether an epoch is one to look at, and better than those before."""
        return self._due(epoch) and super()._improves(epoch, value)

    def _passed(self, epoch: int, improved: bool) -> None:
        """Take note of an epoch that was saved before the run was resumed."""
        if improved:
            self._saved.append(epoch)

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Save the run, if it is to be."""
        assert trainer.progress is not None
        epoch, before = len(trainer.history) - 1, (self.best_epoch, self._least)
        if self.best_only:
            wanted = self._improves(*self._latest(trainer))
        else:
            wanted = self._due(epoch) or trainer.progress.finished
        if wanted and not self._save(trainer, self._path_of(trainer.history.to_dict(), epoch)):
            self.best_epoch, self._least = before  # the best one that there is a file of

    def _path_of(self, figures: Mapping[str, list[float]], epoch: int) -> Path:
        of_epoch = {name: values[epoch] for name, values in figures.items()}
        return expand(names.filled_in(self.path, epoch, of_epoch))

    def _save(self, trainer: Trainer, path: Path) -> bool:
        """Write the file and remove old ones; whether that went well."""
        try:
            trainer.save(path)
        except OSError as error:
            why = error.strerror or reason(error)
            warn(f"Checkpoint: {path} cannot be written: {why}; training goes on", UserWarning)
            return False
        except ValueError as error:  # which says itself that the file is not written
            warn(f"Checkpoint: {error}; training goes on", UserWarning)
            return False
        self.last_path = path
        self._note(path)
        while self.keep is not None and len(self._paths) > self.keep:
            with contextlib.suppress(OSError):
                self._paths.pop(0).unlink()
        return True

    def _note(self, path: Path) -> None:
        """Have a file be the newest one."""
        self._paths = [*(each for each in self._paths if each != path), path]
