"""Figures of one's own: functions that compare targets with a model's answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from nnkit.backends import Array, Backend
from nnkit.given.options import shown
from nnkit.losses import Loss
from nnkit.training.history import History
from nnkit.training.ranks import Ranks

Function = Callable[[np.ndarray[Any, Any], np.ndarray[Any, Any]], float]
"""Takes targets, as they were given, and what a model says, both NumPy arrays of n rows."""
Of = Literal["answers", "probabilities", "outputs"]


@dataclass(frozen=True)
class Metric:
    """A figure that a function computes of targets and of what the model says to them.

    Parameters
    ----------
    function
        Takes the targets as they were given, (n, ...), and the answers, and returns a number: most
        functions of `sklearn.metrics` do.
    of
        What it gets beside the targets: "answers" as `Trainer.predict` gives them, "probabilities"
        as `Trainer.predict_proba`, or the model's "outputs" (n, outputs).
    """

    function: Function
    of: Of = "answers"

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise TypeError(
                f"a metric must be a function of targets and answers, not {shown(self.function)}"
            )
        if self.of not in get_args(Of):
            choices = ", ".join(map(repr, get_args(Of)))
            raise ValueError(f"a metric is of one of {choices}, not of {self.of!r}")


Metrics = Mapping[str, Metric]
Parts = dict[str, list[np.ndarray[Any, Any]]]
"""Answers, probabilities or outputs, batch by batch."""


def named(metrics: Any) -> Metrics:
    """Return metrics by their names, made of functions; TypeError, ValueError for what is none."""
    if metrics is None:
        return {}
    if not isinstance(metrics, Mapping):
        raise TypeError(
            'metrics must be functions by name, such as {"f1": sklearn.metrics.f1_score}, not '
            f"{shown(metrics)}"
        )
    taken = {*vars(History()), "epoch", "lr"}
    for name in metrics:
        if not isinstance(name, str) or not name or name in taken or name.startswith("val_"):
            raise ValueError(
                f"a metric cannot be called {name!r}: choose a name that no figure of a run has, "
                'without "val_" in front'
            )
    return {
        name: given if isinstance(given, Metric) else Metric(given)
        for name, given in metrics.items()
    }


class Answers:
    """What a model says to a data set, collected batch by batch, and the metrics of it."""

    def __init__(self, metrics: Metrics, loss: Loss, backend: Backend) -> None:
        self.metrics, self.loss, self.backend = metrics, loss, backend
        self._parts: Parts = {m.of: [] for m in metrics.values()}

    def add(self, y: Array) -> None:
        """Keep what is needed of the outputs of a batch."""
        to_numpy = self.backend.to_numpy
        for of, parts in self._parts.items():
            if of == "probabilities":
                parts.append(to_numpy(self.loss.probabilities(self.backend, y)).copy())
            elif of == "answers":
                parts.append(self.loss.answers(to_numpy(y)).copy())  # they may be the outputs
            else:
                parts.append(to_numpy(y).copy())

    def figures(
        self, targets: Callable[[], np.ndarray[Any, Any]], ranks: Ranks
    ) -> dict[str, float]:
        """Compute the metrics; raises TypeError for one that gives no number.

        Rank 0 does it, with what all ranks have collected, and tells the others.
        """
        collected = ranks.gather(self._parts)
        found = self._computed(targets(), collected) if ranks.rank == 0 else {}
        figures: dict[str, float] = ranks.first(found)
        return figures

    def _computed(
        self, targets: np.ndarray[Any, Any], collected: Sequence[Parts]
    ) -> dict[str, float]:
        """Compute the metrics of the parts that ranks have collected, in their order."""
        said = {
            of: np.concatenate([part for parts in collected for part in parts[of]])
            for of in self._parts
        }
        found = {}
        for name, metric in self.metrics.items():
            try:
                value = metric.function(targets, said[metric.of])
                found[name] = float(value)
            except Exception as error:
                error.add_note(f"metric {name!r}")
                raise
        return found
