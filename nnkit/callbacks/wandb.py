"""Runs in Weights & Biases."""

from __future__ import annotations

from typing import Any

from nnkit.callbacks.tracking import Tracking
from nnkit.given.keywords import explained
from nnkit.reasons import importing


class WeightsAndBiases(Tracking):
    """Tell Weights & Biases how a run is made (its config), and each epoch's figures.

    A run that is active is used, and left so; else one is started, and finished with `fit`.
    `resume` goes on with the run that it began in. Charts are over "epoch". WANDB_MODE=offline
    writes files alone.

    Parameters
    ----------
    project
        Name of the project; None: that of the settings.
    name
        What to call a run that is started; None: Weights & Biases thinks of something.

    Needs wandb, and raises ImportError without it.
    """

    @explained
    def __init__(self, project: str | None = None, name: str | None = None) -> None:
        self.project = project
        self.name = name
        self._run: Any = None
        self._mine = False
        """Whether the run was started here."""

    def start(self, run_id: str | None, settings: dict[str, Any]) -> str:
        """Begin a run, or go on with one."""
        with importing("wandb", "wandb", "WeightsAndBiases needs wandb: pip install wandb"):
            import wandb
        self._mine = wandb.run is None
        self._run = wandb.run
        if wandb.run is None:
            self._run = wandb.init(
                project=self.project, name=self.name, id=run_id, resume="allow" if run_id else None
            )
            self._run.define_metric("*", step_metric="epoch")
        self._run.config.update(settings, allow_val_change=True)
        return str(self._run.id)

    def log(self, figures: dict[str, float], epoch: int) -> None:
        """Tell of an epoch, from 1."""
        self._run.log({"epoch": epoch, **figures})

    def end(self, finished: bool) -> None:
        """Finish the run, if it was started here."""
        if self._mine:
            self._run.finish(exit_code=0 if finished else 1)
        self._run = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_run": None}
