"""Hooks into a training run."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    from nnkit.training.trainer import Trainer


class Callback:
    """Override what you need; ``trainer.stop = True`` ends training after the current step."""

    each_epoch: ClassVar[bool] = True
    """Whether `on_epoch_end` is to be called after each epoch. Where it is not, and epochs are so
    short that several are made in one go, it is called after these; the history has each."""

    comes_last: ClassVar[bool] = False
    """Whether it is called after all others that do not say so, wherever it is in the list: what
    saves the run saves what the others have made of the epoch."""

    on_every_rank: ClassVar[bool] = True
    """Whether it is called on every rank, where there are several. One that writes or shows says
    no, and is called on rank 0; what it sets there, but for `trainer.stop`, others do not see."""

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
