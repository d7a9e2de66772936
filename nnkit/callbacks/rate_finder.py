"""A range test: which learning rates a network can be trained with (Smith 2017)."""

from __future__ import annotations

import copy
from math import isfinite
from typing import Any

from nnkit.callbacks.rates import LearningRates
from nnkit.given.keywords import explained
from nnkit.given.options import integer, number, shown
from nnkit.training import Callback, Trainer

DIVERGED = 4.0
"""So many times the least smoothed loss is where the test ends."""


class LearningRateFinder:
    """Train a copy for some steps with learning rates that grow from tiny to huge.

    The loss says which are of use: those at which it falls, well before it rises again. (L. N.
    Smith 2017, "Cyclical learning rates for training neural networks", section 3.3.) The trainer,
    its model and its optimizer stay as they are, bit for bit::

        found = nnkit.LearningRateFinder(trainer).find(x, t, batch_size=64)
        trainer.optimizer.lr = found.suggestion

    Parameters
    ----------
    trainer
        What to train: a `Trainer` of the model, with its loss and its optimizer.
    lowest, highest
        The first and the last rate, above 0; each step multiplies it by the same factor. The test
        ends before that where the loss has risen to four times its least.
    steps
        Steps, at least 10.
    smoothing
        Part of the mean of losses so far in the next one, at least 0 and below 1: 0 leaves the
        losses of single batches as they are.
    """

    lowest: float = number(above=0)
    highest: float = number(above=0)
    steps: int = integer(least=10)
    smoothing: float = number(least=0, below=1)

    @explained
    def __init__(
        self,
        trainer: Trainer,
        lowest: float = 1e-6,
        highest: float = 10.0,
        steps: int = 100,
        smoothing: float = 0.9,
    ) -> None:
        if not isinstance(trainer, Trainer):
            raise TypeError(
                "LearningRateFinder: trainer must be a Trainer, such as nnkit.Trainer(model, loss, "
                f"optimizer), not {shown(trainer)}"
            )
        self.trainer = trainer
        self.lowest = lowest
        self.highest = highest
        self.steps = steps
        self.smoothing = smoothing
        if self.lowest >= self.highest:
            raise ValueError(
                f"LearningRateFinder: lowest must be below highest, but {self.lowest:g} is not "
                f"below {self.highest:g}"
            )

    def find(self, x: Any, t: Any, batch_size: int | None = None, **options: Any) -> LearningRates:
        """Run the test on examples, as `Trainer.fit` takes them, and return what was found.

        Others of its arguments may be given too: `scale`, `augment`, `seed`, weights. Errors are
        those of `fit`.
        """
        own = {"epochs", "callbacks", "schedule", "validation_data", "validation_split", "on_nan"}
        if taken := sorted(own & options.keys()):
            raise TypeError(
                f"LearningRateFinder.find has {' and '.join(taken)} of its own: leave them out"
            )
        trainer, measured = copy.deepcopy(self.trainer), _Measure(self)
        trainer.optimizer.lr = self.lowest
        trainer.fit(
            *(x, t, self.steps, batch_size),
            **{"progress": False, **options},
            schedule=self._growth,
            callbacks=[measured],
            on_nan="ignore",
        )
        rates = [self.lowest * self._growth(i, self.steps) for i in range(len(measured.losses))]
        return LearningRates(rates, measured.losses, measured.smoothed)

    def _growth(self, step: int, total: int) -> float:
        """What the lowest rate is multiplied by; steps beyond the last are not made."""
        part = min(step, self.steps - 1) / (self.steps - 1)
        return float((self.highest / self.lowest) ** part)


class _Measure(Callback):
    """Record each step's loss; stop after the last one, or where it is plain that it diverges."""

    def __init__(self, finder: LearningRateFinder) -> None:
        self.steps, self.smoothing = finder.steps, finder.smoothing
        self.losses: list[float] = []
        self.smoothed: list[float] = []
        self._mean = 0.0

    def on_step_end(self, trainer: Trainer) -> None:
        assert trainer.progress is not None
        row = trainer.log[trainer.progress.step - 1]
        loss = float(trainer.model.backend.to_numpy(row)[0])
        if isfinite(loss):
            self.losses.append(loss)
            self._mean = self.smoothing * self._mean + (1 - self.smoothing) * loss
            self.smoothed.append(self._mean / (1 - self.smoothing ** len(self.losses)))
        diverged = not isfinite(loss) or self.smoothed[-1] > DIVERGED * min(self.smoothed)
        trainer.stop = diverged or len(self.losses) >= self.steps
