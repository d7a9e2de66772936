"""Training that has diverged: losses, weights and outputs that are NaN or infinite."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from nnkit.backends import Array
from nnkit.dtypes import as_arithmetic
from nnkit.layers import Sequential
from nnkit.optimizers import Optimizer
from nnkit.showing.warning import DivergenceWarning, warn

OnNan = Literal["raise", "warn", "ignore"]


class DivergenceError(ArithmeticError):
    """Training has diverged; the message says where, and which learning rate to try.

    What was trained is kept as it is, NaN and all: begin anew, with a new model.
    """

    epoch: int
    """Epoch of the first loss that is NaN or infinite, from 1."""
    step: int
    """Its step in the epoch, from 1."""
    loss: float
    """That loss; NaN where it is only weights that are not finite."""


class Watch:
    """Looks at the losses of a run, and at last at its weights, and tells of the first not finite.

    Parameters
    ----------
    on_nan
        "raise" a `DivergenceError`, "warn" once, or "ignore" it.
    optimizer
        Of whose learning rate a tenth is suggested.
    """

    def __init__(self, on_nan: OnNan, optimizer: Optimizer) -> None:
        self.on_nan, self.optimizer = on_nan, optimizer

    def look(self, losses: np.ndarray[Any, Any], epoch: int, steps: int) -> None:
        """Look at the losses of some steps from the first of an epoch on, each of `steps` steps."""
        if self.on_nan == "ignore" or np.isfinite(losses).all():
            return
        first = int(np.isfinite(losses).argmin())
        loss, passed = float(losses[first]), first // steps
        where = epoch + passed + 1, first % steps + 1
        self._tell(f"the loss is {loss} in epoch {where[0]}, step {where[1]}", where, loss)

    def look_at_weights(self, model: Sequential, epoch: int, step: int) -> None:
        """Look at the parameters and running averages of a model after a step."""
        if self.on_nan == "ignore":
            return
        arrays = [*(run.values for run in model.runs()), *(x for _, x in model.named_buffers())]
        if not all(map(_all_finite, arrays)):
            text = f"weights are NaN or infinite after epoch {epoch}, step {step}"
            self._tell(text, (epoch, step), np.nan)

    def _tell(self, what: str, where: tuple[int, int], loss: float) -> None:
        lr = self.optimizer.lr
        message = (
            f"training diverged: {what}. Try a smaller learning rate, such as {lr / 10:g} "
            f"instead of {lr:g}"
        )
        if self.on_nan == "warn":
            self.on_nan = "ignore"  # from now on: it is said once
            warn(message, DivergenceWarning)
            return
        error = DivergenceError(message)
        (error.epoch, error.step), error.loss = where, loss
        raise error


def warn_of_nan(what: str) -> None:
    """Warn that a model computes NaN, and say what to do."""
    remedy = "train a new model, with a smaller learning rate"
    warn(f"{what}: training has diverged; {remedy}", DivergenceWarning)


def _all_finite(array: Array) -> bool:
    return not array.size or bool((abs(as_arithmetic(array)) < np.inf).all())
