"""Training: the trainer, its loop and steps, hooks, and what a run records."""

from nnkit.training.callbacks import Callback
from nnkit.training.divergence import DivergenceError
from nnkit.training.history import History
from nnkit.training.metrics import Metric
from nnkit.training.progress import Progress
from nnkit.training.steps import CaptureWarning
from nnkit.training.trainer import Trainer

__all__ = [
    "Callback",
    "CaptureWarning",
    "DivergenceError",
    "History",
    "Metric",
    "Progress",
    "Trainer",
]
