"""What an epoch has to tell to those who keep books: its figures, and the learning rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnkit.callbacks.monitoring import figures_of

if TYPE_CHECKING:
    from nnkit.training import Trainer


def figures_now(trainer: Trainer) -> dict[str, float]:
    """Figures of the latest epoch by name, and as "lr" the learning rate of its last step."""
    figures = {name: trainer.history[name][-1] for name in figures_of(trainer)}
    return {**figures, "lr": trainer.optimizer.last_lr}


def settings(trainer: Trainer) -> dict[str, Any]:
    """What a run is made with, by name: numbers and texts."""
    model, progress, optimizer = trainer.model, trainer.progress, trainer.optimizer.config()
    assert progress is not None
    return {
        "backend": model.backend.name,
        "dtype": model.dtype.name,
        "parameters": model.n_parameters,
        "loss": repr(trainer.loss),
        "optimizer": optimizer.pop("class"),
        **optimizer,
        "schedule": repr(trainer.schedule),
        "augment": ", ".join(map(repr, trainer.augment)),
        "epochs": progress.epochs,
        "batch_size": progress.batch_size,
        "examples": progress.examples,
        "seed": progress.seed,
    }
