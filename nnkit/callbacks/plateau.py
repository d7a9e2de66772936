"""A smaller learning rate where a figure no longer gets better."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from nnkit.callbacks.monitoring import Monitoring
from nnkit.given.keywords import explained
from nnkit.given.options import integer, number
from nnkit.showing.words import counted

if TYPE_CHECKING:
    from nnkit.training import Trainer

logger = logging.getLogger(__name__)


class ReduceOnPlateau(Monitoring):
    """Multiply the optimizer's `lr` by a factor when a figure has not improved for some epochs.

    A schedule's factors are of the reduced rate then. The rate stays as it is when the run ends.
    When one may be reduced next is found by the history: a run that is resumed reduces in the same
    epochs as one that was never interrupted.

    Parameters
    ----------
    monitor
        A figure of `History`: "val_loss", "val_accuracy", "loss", "accuracy", or a metric of your
        own, such as "val_f1".
    factor
        What `lr` is multiplied by, above 0 and below 1.
    patience
        Epochs without improvement after which it is, at least 1. As many again lie before the next
        time.
    min_delta
        What an epoch must be better by than the best before, to count as better.
    cooldown
        Epochs after a reduction that are not counted.
    min_lr
        The smallest rate.
    mode
        "min" if the figure is to fall, "max" if it is to rise. None knows that losses are to fall
        and accuracies to rise; a metric of your own needs it.

    Raises ValueError, before the first step, if the run will have no such figure.
    """

    factor: float = number(above=0, below=1)
    patience: int = integer(least=1)
    cooldown: int = integer(least=0)
    min_lr: float = number(least=0)

    @explained
    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        min_delta: float = 0.0,
        cooldown: int = 0,
        min_lr: float = 0.0,
        mode: str | None = None,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.factor = factor
        self.patience = patience
        self.cooldown = cooldown
        self.min_lr = min_lr
        self._since = -1
        """The epoch, from 0, from which those without improvement are counted."""

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Go through what was made before, if the run is resumed."""
        self._since = -1
        self._begin(trainer)

    def _passed(self, epoch: int, improved: bool) -> None:
        """Count an epoch."""
        if improved:
            self._since = max(self._since, epoch)
        elif epoch - self._since >= self.patience:
            self._since = epoch + self.cooldown

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Reduce the rate, if it is time."""
        epoch, value = self._latest(trainer)
        improved, waited = self._improves(epoch, value), epoch - self._since
        self._passed(epoch, improved)
        if not improved and waited >= self.patience:
            self._reduce(trainer, epoch, waited)

    def _reduce(self, trainer: Trainer, epoch: int, waited: int) -> None:
        before = trainer.optimizer.lr
        after = max(before * self.factor, self.min_lr)
        if after < before:
            trainer.optimizer.lr = after
            logger.info(
                "learning rate reduced from %g to %g after epoch %d: %s has not improved for %s",
                before,
                after,
                epoch + 1,
                self.monitor,
                counted(waited, "epoch"),
            )
