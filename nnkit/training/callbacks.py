"""Hooks into a training run."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nnkit.given.keywords import explained
from nnkit.given.options import flag, integer, number, shown
from nnkit.layers.base import check_state
from nnkit.showing.warning import warn
from nnkit.training.history import History

if TYPE_CHECKING:
    from nnkit.training.trainer import Trainer


class Callback:
    """Override what you need; ``trainer.stop = True`` ends training after the current step."""

    each_epoch: ClassVar[bool] = True
    """Whether `on_epoch_end` is to be called after each epoch. Where it is not, and epochs are so
    short that several are made in one go, it is called after these; the history has each."""

    def epochs_ahead(self, trainer: Trainer) -> float:
        """How many epochs may be made before `on_epoch_end` has to be called: 1, or any number.

        For one that looks at each epoch, but knows that it will do nothing in the next few.
        """
        return 1 if self.each_epoch else inf

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Before the first step."""

    def on_step_end(self, trainer: Trainer) -> None:
        """After each update was issued. ``trainer.running()`` reads loss and accuracy so far."""

    def on_progress(self, trainer: Trainer) -> None:
        """Now and then, some twenty times a second where steps are short: to show progress."""

    def on_epoch_end(self, trainer: Trainer) -> None:
        """After validation; ``trainer.history`` holds the epoch's figures."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """After the last step, also when the run was interrupted."""

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Arrays that are to be kept with the run, in checkpoints too; none by default."""
        return {}

    def restore(self, trainer: Trainer, state: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Take over what `state` gave, when the run is resumed, before `on_fit_begin`.

        Raise ValueError where it does not fit: it may come from a file.
        """


class EarlyStopping(Callback):
    """Stop when a figure of the history has not improved for some epochs.

    Parameters
    ----------
    monitor
        A figure of `History`: "val_loss", "val_accuracy", "loss" or "accuracy". Accuracies are to
        rise, losses to fall.
    patience
        Epochs without improvement after which training stops, at least 1.
    min_delta
        What an epoch must be better by than the best before, to count as better.
    restore_best
        Whether the model gets back the parameters (and running averages) of the best epoch, when
        training was stopped or has come to its end (an interrupted run goes on from where it was).
        They are kept in checkpoints of the run; where a run is resumed without them, a warning says
        so.

    Raises ValueError, before the first step, if the run will have no such figure. (Prechelt 1998,
    "Early stopping - but when?")
    """

    patience: int = integer(least=1)
    min_delta: float = number(least=0)
    restore_best: bool = flag()

    @explained
    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 5,
        min_delta: float = 0.0,
        restore_best: bool = True,
    ) -> None:
        if not isinstance(monitor, str):
            raise TypeError(f"EarlyStopping: monitor must be a figure's name, not {shown(monitor)}")
        self.monitor = monitor
        self.patience = patience
        self.min_delta = min_delta
        self.restore_best = restore_best
        self.best_epoch: int | None = None
        """The best epoch of the run, from 0."""
        self.stopped = False
        """Whether this callback ended the run."""
        self._history: History | None = None
        self._best: dict[str, np.ndarray[Any, Any]] | None = None

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Forget another run; one that goes on is known by its history."""
        self._check_monitor(trainer)
        if trainer.history is not self._history:
            self._history, self._best = trainer.history, None
        self.best_epoch = self._find_best(trainer.history)
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
        if self.restore_best and epoch.tolist() == self._find_best(trainer.history):
            self._best = best

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Keep the parameters of a better epoch; stop after too many that are not."""
        epoch = len(trainer.history) - 1
        self.best_epoch = self._find_best(trainer.history)
        if self.best_epoch == epoch and self.restore_best:
            self._best = _state(trainer)
        if epoch - (-1 if self.best_epoch is None else self.best_epoch) >= self.patience:
            self.stopped = trainer.stop = True

    def on_fit_end(self, trainer: Trainer) -> None:
        """Give the model its best parameters back."""
        assert trainer.progress is not None
        if self._best is not None and (self.stopped or trainer.progress.finished):
            check_state(_state(trainer), self._best)
            with trainer.model.held():
                for run in trainer.model.runs():
                    run.values[...] = 0  # what lies between parameters may be NaN
                trainer.model.restore(self._best)

    def _check_monitor(self, trainer: Trainer) -> None:
        """Raise ValueError if the run will not have the figure."""
        no_accuracy = "accuracy" in self.monitor and not trainer.loss.counts_correct
        no_validation = self.monitor.startswith("val_") and not trainer.validates
        if hasattr(trainer.history, self.monitor) and not (no_accuracy or no_validation):
            return
        remedy = f": give fit validation_data, or {self.monitor[4:]!r} is the figure of training"
        if no_accuracy:
            remedy = f", because {type(trainer.loss).__name__} counts no right answers"
        elif not hasattr(History(), self.monitor):
            remedy = ": choose one of loss, accuracy, val_loss, val_accuracy"
        raise ValueError(f"EarlyStopping: there is no {self.monitor} in the history{remedy}")

    def _find_best(self, history: History) -> int | None:
        """Epoch of the last improvement; None before the first."""
        sign = -1 if "accuracy" in self.monitor else 1
        best, least = None, inf
        for epoch, value in enumerate(getattr(history, self.monitor, ())):
            if sign * value < least - self.min_delta:
                best, least = epoch, sign * value
        return best


def _state(trainer: Trainer) -> dict[str, np.ndarray[Any, Any]]:
    """Copies of all that training changes in the model, but for where its random numbers are."""
    return {name: x for name, x in trainer.model.state().items() if name != "counters"}
