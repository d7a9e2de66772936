"""Watching a figure of the history: which one, which way it is to go, and what is better."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from nnkit.given.options import Option, number, shown
from nnkit.training.callbacks import Callback

if TYPE_CHECKING:
    from nnkit.training import History, Trainer

MODES = {
    **{"loss": "min", "accuracy": "max", "val_loss": "min", "val_accuracy": "max"},
    "seconds": "min",
}
"""Which way nnkit's own figures are to go."""


class _Name(Option):
    def checked(self, name: str, value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError(f"{name} must be a figure's name, not {shown(value)}")
        return value


class _Mode(Option):
    def checked(self, name: str, value: Any) -> str | None:
        if value not in (None, "min", "max"):
            raise ValueError(f"{name} must be 'min', 'max' or None, not {shown(value)}")
        return None if value is None else str(value)


class Monitoring(Callback):
    """What callbacks share that watch a figure.

    Parameters
    ----------
    monitor
        A figure of `History`: "val_loss", "val_accuracy", "loss", "accuracy", or a metric of your
        own, such as "val_f1".
    mode
        "min" if it is to fall, "max" if it is to rise. None knows it for nnkit's own: losses are to
        fall, accuracies to rise.
    min_delta
        What an epoch must be better by than the best before, to count as better. NaN never is.
    """

    monitor: str = _Name()  # type: ignore[assignment]
    mode: str | None = _Mode()  # type: ignore[assignment]
    min_delta: float = number(least=0)

    def __init__(self, monitor: str, mode: str | None, min_delta: float) -> None:
        self.monitor = monitor
        self.mode = mode
        self.min_delta = min_delta
        self.best_epoch: int | None = None
        """The best epoch of the run, from 0."""
        self._least = inf

    def _begin(self, trainer: Trainer) -> None:
        """Check that the run will have the figure, and look at what it was so far.

        Raises ValueError if it will not, or where `mode` is not known.
        """
        self._check(trainer)
        self._look_back(trainer.history)

    def _look_back(self, history: History) -> None:
        """Find the best epoch so far."""
        self.best_epoch, self._least = None, inf
        for epoch, value in enumerate(history.to_dict().get(self.monitor, [])):
            self._passed(epoch, self._improves(epoch, value))

    def _improves(self, epoch: int, value: float) -> bool:
        """Whether an epoch's figure is better than the best before; then it is the best one."""
        rising = (self.mode or MODES.get(self.monitor)) == "max"
        height = -value if rising else value
        if not height < self._least - self.min_delta:
            return False
        self.best_epoch, self._least = epoch, height
        return True

    def _passed(self, epoch: int, improved: bool) -> None:
        """Take note of an epoch that was made before the run was resumed."""

    def _latest(self, trainer: Trainer) -> tuple[int, float]:
        """Return the epoch that was just made, from 0, and its figure."""
        return len(trainer.history) - 1, trainer.history[self.monitor][-1]

    def _check(self, trainer: Trainer) -> None:
        name, owner = self.monitor, type(self).__name__
        if name not in figures_of(trainer):
            raise ValueError(f"{owner}: there is no {name} in the history{_remedy(name, trainer)}")
        if self.mode is None and name not in MODES:
            raise ValueError(
                f"{owner}: nnkit cannot know whether {name} is to rise or to fall: say mode='max' "
                "or mode='min'"
            )


def figures_of(trainer: Trainer) -> list[str]:
    """Names of the figures that every epoch of a trainer's run has, in the history's order."""
    known = ["loss", *["accuracy"] * trainer.loss.counts_correct]
    if not trainer.validates:
        return [*known, *trainer.metrics, "seconds"]
    return [*known, *(f"val_{name}" for name in [*known, *trainer.metrics]), "seconds"]


def _remedy(name: str, trainer: Trainer) -> str:
    """Say why there is no such figure, and what to do."""
    plain = name.removeprefix("val_")
    if plain == "accuracy" and not trainer.loss.counts_correct:
        return f", because {type(trainer.loss).__name__} counts no right answers"
    if plain != name and plain in figures_of(trainer) and not trainer.validates:
        return f": give fit validation_data, or {plain!r} is the figure of training"
    if name in trainer.metrics:
        return f": it is computed of the validation data, as 'val_{name}'"
    return f": choose one of {', '.join(figures_of(trainer)[:-1])}"
