"""What a range test has found."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class LearningRates:
    """Losses at learning rates, as `LearningRateFinder` has found them: one for each step."""

    rates: list[float]
    losses: list[float]
    """Of single batches."""
    smoothed: list[float]
    """Exponential means of these, which lag a little behind."""

    @property
    def suggestion(self) -> float | None:
        """A tenth of the rate at which the smoothed loss is least; None where it never falls.

        There the loss is about to rise, because training is about to become unstable. (J. Howard's
        rule in fastai. The rate of the steepest fall, which is the other common one, is less sure:
        it depends on single batches.)
        """
        least = int(np.argmin(self.smoothed)) if self.smoothed else 0
        return self.rates[least] / 10 if least > 0 else None

    def plot(
        self, path: str | PathLike[str] | None = None, *, title: str = "Learning rates"
    ) -> Figure:
        """Draw the losses over the rates, and the suggestion, and save that too if there is a path.

        Raises ImportError without Matplotlib.
        """
        from nnkit.plotting.rates import learning_rates

        return learning_rates(self.rates, self.losses, self.smoothed, self.suggestion, path, title)

    def __repr__(self) -> str:
        found = "none" if self.suggestion is None else f"{self.suggestion:.2g}"
        if not self.rates:
            return "LearningRates(no step was possible)"
        return (
            f"LearningRates({len(self.rates)} steps from {self.rates[0]:.2g} to "
            f"{self.rates[-1]:.2g}, suggestion {found})"
        )
