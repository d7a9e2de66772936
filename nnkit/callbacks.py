"""Hooks into a training run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnkit.training import Trainer


class Callback:
    """Override what you need; ``trainer.stop = True`` ends training after the current step."""

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Before the first step."""

    def on_step_end(self, trainer: Trainer) -> None:
        """After each step was issued. ``trainer.running()`` reads loss and accuracy so far."""

    def on_progress(self, trainer: Trainer) -> None:
        """Now and then, some twenty times a second where steps are short: to show progress."""

    def on_epoch_end(self, trainer: Trainer) -> None:
        """After validation; ``trainer.history`` holds the epoch's figures."""

    def on_fit_end(self, trainer: Trainer) -> None:
        """After the last step, also when the run was interrupted."""
