"""What `Trainer.fit` calls between its steps and epochs: saving, logging, stopping, and your own.

They are given in a list::

    trainer.fit(x, t, callbacks=[nnkit.EarlyStopping(), nnkit.Checkpoint("best", best_only=True)])

All are names of `nnkit`, too. What needs another library imports it in `fit`.
"""

from typing import TYPE_CHECKING, Any

from nnkit.callbacks.checkpoint import Checkpoint
from nnkit.callbacks.csv_logger import CSVLogger
from nnkit.callbacks.early_stopping import EarlyStopping
from nnkit.callbacks.mlflow import MLflow
from nnkit.callbacks.plateau import ReduceOnPlateau
from nnkit.callbacks.rate_finder import LearningRateFinder
from nnkit.callbacks.rates import LearningRates
from nnkit.callbacks.tensorboard import TensorBoard
from nnkit.callbacks.wandb import WeightsAndBiases
from nnkit.given.missing import missing
from nnkit.progress import ProgressBar
from nnkit.training.callbacks import Callback

__all__ = [
    "CSVLogger",
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "LearningRateFinder",
    "LearningRates",
    "MLflow",
    "ProgressBar",
    "ReduceOnPlateau",
    "TensorBoard",
    "WeightsAndBiases",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Say which name was meant by one that is not there."""
        raise missing(__name__, name, __all__)
