"""Ending a run when it no longer gets better."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nnkit.callbacks.monitoring import Monitoring
from nnkit.given.keywords import explained
from nnkit.given.options import flag, integer
from nnkit.layers.base import check_state
from nnkit.showing.warning import warn
from nnkit.showing.words import counted
from nnkit.training.history import History

if TYPE_CHECKING:
    from nnkit.training import Trainer

logger = logging.getLogger(__name__)


class EarlyStopping(Monitoring):
    """Stop when a figure of the history has not improved for some epochs.

    Parameters
    ----------
    monitor
        A figure of `History`: "val_loss", "val_accuracy", "loss", "accuracy", or a metric of your
        own, such as "val_f1".
    patience
        Epochs without improvement after which training stops, at least 1.
    min_delta
        What an epoch must be better by than the best before, to count as better.
    restore_best
        Whether the model gets back the parameters (and running averages) of the best epoch, when
        training was stopped or has come to its end (an interrupted run goes on from where it was).
        They are kept in checkpoints of the run; where a run is resumed without them, a warning says
        so.
    mode
        "min" if the figure is to fall, "max" if it is to rise. None knows that losses are to fall
        and accuracies to rise; a metric of your own needs it.

    Afterwards `best_epoch` is the best one, from 0. Raises ValueError, before the first step, if
    the run will have no such figure. (Prechelt 1998, "Early stopping - but when?")
    """

    patience: int = integer(least=1)
    restore_best: bool = flag()

    @explained
    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 5,
        min_delta: float = 0.0,
        restore_best: bool = True,
        mode: str | None = None,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = patience
        self.restore_best = restore_best
        self.stopped = False
        """Whether this callback ended the run."""
        self._history: History | None = None
        self._best: dict[str, np.ndarray[Any, Any]] | None = None

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Forget another run; one that goes on is known by its history."""
        self._begin(trainer)
        if trainer.history is not self._history:
            self._history, self._best = trainer.history, None
        self.stopped = False
        if self.restore_best and self.best_epoch is not None and self._best is None:
            warn(
                f"EarlyStopping: the parameters of epoch {self.best_epoch + 1}, the best so far, "
                "were not kept: if no later one is better, the model ends with the last ones",
                UserWarning,
            )

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return the best epoch and the model's state after it, if that is wanted."""
        if self._best is None or self.best_epoch is None:
            return {}
        best = {f"best.{name}": array for name, array in self._best.items()}
        return {"epoch": np.array(self.best_epoch, np.int64), **best}

    def restore(self, trainer: Trainer, state: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Take over the best parameters, if they are of what is the best epoch here too."""
        best = {name.removeprefix("best."): x for name, x in state.items() if name != "epoch"}
        check_state(_state(trainer), best)
        self._history, self._best = trainer.history, None
        epoch = state["epoch"]
        if (epoch.dtype, epoch.shape) != (np.int64, ()) or not 0 <= epoch < len(trainer.history):
            raise ValueError(f"its best epoch cannot be {epoch}")
        self._look_back(trainer.history)
        if self.restore_best and epoch.tolist() == self.best_epoch:
            self._best = best

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Keep the parameters of a better epoch; stop after too many that are not."""
        epoch, value = self._latest(trainer)
        if self._improves(epoch, value) and self.restore_best:
            self._best = _state(trainer)
        best = -1 if self.best_epoch is None else self.best_epoch
        if epoch - best >= self.patience:
            self.stopped = trainer.stop = True
            logger.info(
                "stopped after epoch %d: %s has not improved for %s",
                epoch + 1,
                self.monitor,
                counted(epoch - best, "epoch"),
            )

    def on_fit_end(self, trainer: Trainer) -> None:
        """Give the model its best parameters back."""
        assert trainer.progress is not None
        if self._best is not None and (self.stopped or trainer.progress.finished):
            check_state(_state(trainer), self._best)
            with trainer.model.held():
                for run in trainer.model.runs():
                    run.values[...] = 0  # what lies between parameters may be NaN
                trainer.model.restore(self._best)


def _state(trainer: Trainer) -> dict[str, np.ndarray[Any, Any]]:
    """Copies of all that training changes in the model, but for where its random numbers are."""
    return {name: x for name, x in trainer.model.state().items() if name != "counters"}
