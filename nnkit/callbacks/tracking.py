"""What the services have in common that keep books of experiments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nnkit.callbacks.figures import figures_now, settings
from nnkit.training.callbacks import Callback
from nnkit.training.history import History

if TYPE_CHECKING:
    from nnkit.training import Trainer


class Tracking(Callback):
    """Tell a service how a run is made, and each epoch's figures.

    A run that the program has begun there itself is used, and left open. The service's name of the
    run is kept in checkpoints: a run that is resumed goes on there. A subclass writes `start`,
    `log` and `end`.
    """

    on_every_rank = False

    run_id: str | None = None
    """The service's name of the run."""

    _history: History | None = None

    def start(self, run_id: str | None, settings: dict[str, Any]) -> str:
        """Begin a run with these settings, or go on with one; returns its name."""
        raise NotImplementedError

    def log(self, figures: dict[str, float], epoch: int) -> None:
        """Tell of an epoch, from 1."""
        raise NotImplementedError

    def end(self, finished: bool) -> None:
        """Tell that the run is over, or was broken off."""
        raise NotImplementedError

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Begin a run, or go on with the one that is resumed."""
        if trainer.history is not self._history:
            self._history, self.run_id = trainer.history, None
        self.run_id = self.start(self.run_id, settings(trainer))

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Tell of the epoch."""
        self.log(figures_now(trainer), len(trainer.history))

    def on_fit_end(self, trainer: Trainer) -> None:
        """Tell of the end."""
        assert trainer.progress is not None
        self.end(trainer.progress.finished or trainer.stop)

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return the service's name of the run, as bytes."""
        return {} if self.run_id is None else {"run": np.array([*self.run_id.encode()], np.uint8)}

    def restore(self, trainer: Trainer, state: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Take over the service's name of the run."""
        name = state["run"].tobytes().decode("ascii", "replace")
        if not re.fullmatch(r"[\w-]{1,64}", name):
            raise ValueError(f"no run is called {name!r}")
        self._history, self.run_id = trainer.history, name
