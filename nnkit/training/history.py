"""What a training run recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import nan
from typing import Any

import numpy as np

from nnkit.files.checking import check
from nnkit.showing import html

SHOWN = 10
"""Epochs that a notebook shows from the beginning and from the end of a long run."""

METRICS = "metrics."
"""In front of the names of one's own figures in a file."""

Figures = dict[str, np.ndarray[Any, Any]]
"""Figures by name, float64 (n,)."""

MOST_SECONDS = 1e12
"""More than an epoch can have taken."""


@dataclass
class History:
    """Figures of a run, one list element per epoch; `step_loss` has one per training step.

    `loss` and `accuracy` are means over the epoch's training examples, measured as training went
    on; `val_loss` and `val_accuracy` are of the validation data after the epoch (empty without
    validation data); accuracies are empty for a loss that has none. `seconds` is the time spent
    training in the epoch, validation not included. `metrics` has the figures of one's own, such as
    "val_f1", by name; ``history["val_f1"]`` and ``history["val_loss"]`` are lists of either kind.
    """

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    step_loss: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)

    def append(self, figures: dict[str, float]) -> None:
        """Add the figures of one epoch: NaN for those that others had and it has not.

        Metrics are NaN in epochs before their first, too.
        """
        for name in figures.keys() - self._all().keys():
            self.metrics[name] = [nan] * len(self)
        for name, values in self._all().items():
            if values or name in figures:
                values.append(figures.get(name, nan))

    def __getitem__(self, name: str) -> list[float]:
        """Figures of a name; KeyError for one that is none."""
        return self._all()[name]

    def _all(self) -> dict[str, list[float]]:
        """Figures of all epochs, by name."""
        own = {k: v for k, v in vars(self).items() if k not in ("step_loss", "metrics")}
        return own | self.metrics

    def last(self) -> dict[str, float]:
        """Figures of the latest epoch."""
        return {k: v[-1] for k, v in self._all().items() if v}

    def to_dict(self) -> dict[str, list[float]]:
        """Lists of one length, a figure per epoch: ``pandas.DataFrame(history.to_dict())``.

        Figures that were not recorded are left out, as is `step_loss`. Epochs without validation
        before those with it are filled up with NaN.
        """
        figures = {k: v for k, v in self._all().items() if v}
        return {k: [nan] * (len(self) - len(v)) + v for k, v in figures.items()}

    def _repr_html_(self) -> str:
        figures = self.to_dict()
        rows = [
            [str(i + 1), *(_written(k, v[i]) for k, v in figures.items())] for i in range(len(self))
        ]
        if len(rows) > 2 * SHOWN:
            rows[SHOWN:-SHOWN] = [["…"] * len(rows[0])]
        return html.table(["epoch", *figures], rows)

    def state(self) -> Figures:
        """As arrays, which a file keeps; metrics as "metrics.val_f1"."""
        own = {name: values for name, values in vars(self).items() if name != "metrics"}
        of_metrics = {f"{METRICS}{name}": values for name, values in self.metrics.items()}
        return {name: np.array(values, np.float64) for name, values in (own | of_metrics).items()}

    @classmethod
    def of(cls, figures: Mapping[str, Any]) -> History:
        """Make one of what `state` gave, or of lists.

        Raises ValueError where one is missing or unknown, and for more figures than epochs.
        """
        history = cls()
        metrics = {name for name in figures if name.startswith(METRICS)}
        for name in (figures.keys() - metrics) ^ (vars(history).keys() - {"metrics"}):
            wrong = "must have" if hasattr(history, name) else "has no"
            raise ValueError(f"a history {wrong} {name!r}")
        for name, values in figures.items():
            if not isinstance(values, np.ndarray):
                check({"loss" if name in metrics else name: values}, cls, "a history")
            elif (values.dtype, values.ndim) != (np.float64, 1):
                raise ValueError(f"{name} has shape {values.shape} and dtype {values.dtype}")
            listed = np.asarray(values, np.float64).tolist()
            if name in metrics:
                history.metrics[name.removeprefix(METRICS)] = listed
            else:
                setattr(history, name, listed)
        if not all(0 <= value < MOST_SECONDS for value in history.seconds):
            raise ValueError("its seconds are no times")
        if any(x < 0 or x > 1 for x in (*history.accuracy, *history.val_accuracy)):  # or NaN
            raise ValueError("its accuracies are not from 0 to 1")
        epochs = len(history)
        for name, values in history._all().items():
            if len(values) > epochs:
                raise ValueError(f"{name} has {len(values)} figures for {epochs} epochs")
        return history

    def __len__(self) -> int:
        return len(self.loss)


def _written(name: str, value: float) -> str:
    return f"{value:.2%}" if name.endswith("accuracy") else f"{value:.4g}"
