"""Runs in MLflow."""

from __future__ import annotations

from typing import Any

from nnkit.callbacks.tracking import Tracking
from nnkit.given.keywords import explained
from nnkit.reasons import importing


class MLflow(Tracking):
    """Tell MLflow how a run is made (its parameters), and each epoch's figures (its metrics).

    Where to is MLflow's own matter: ``mlflow.set_tracking_uri``, or MLFLOW_TRACKING_URI. A run that
    is active is used, and left so; else one is started, and ended with `fit`. `resume` goes on with
    the run that it began in.

    Parameters
    ----------
    experiment
        Name of the experiment; None: MLflow's current one.
    run_name
        What to call a run that is started; None: MLflow thinks of something.

    Needs MLflow, and raises ImportError without it.
    """

    @explained
    def __init__(self, experiment: str | None = None, run_name: str | None = None) -> None:
        self.experiment = experiment
        self.run_name = run_name
        self._mine = False
        """Whether the run was started here."""

    def start(self, run_id: str | None, settings: dict[str, Any]) -> str:
        """Begin a run, or go on with one. Parameters that it has already stay as they are."""
        mlflow = _mlflow()
        active = mlflow.active_run()
        self._mine = active is None
        if active is None:
            if self.experiment is not None:
                mlflow.set_experiment(self.experiment)
            name = None if run_id else self.run_name
            active = mlflow.start_run(run_id=run_id, run_name=name)
        name = str(active.info.run_id)
        known = mlflow.get_run(name).data.params  # which MLflow lets nobody change
        mlflow.log_params({k: v for k, v in settings.items() if k not in known}, run_id=name)
        return name

    def log(self, figures: dict[str, float], epoch: int) -> None:
        """Tell of an epoch, from 1."""
        _mlflow().log_metrics(figures, step=epoch, run_id=self.run_id)

    def end(self, finished: bool) -> None:
        """End the run, if it was started here."""
        if self._mine:
            _mlflow().end_run("FINISHED" if finished else "KILLED")


def _mlflow() -> Any:
    with importing("mlflow", "MLflow", "MLflow is not installed: pip install mlflow-skinny"):
        import mlflow
    return mlflow
