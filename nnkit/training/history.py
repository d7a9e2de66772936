"""What a training run recorded."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class History:
    """Figures of a run, one list element per epoch; `step_loss` has one per training step.

    `loss` and `accuracy` are means over the epoch's training examples, measured as training went
    on; `val_loss` and `val_accuracy` are of the validation data after the epoch (empty without
    validation data); accuracies are empty for a loss that has none. `seconds` is the time spent
    training in the epoch, validation not included.
    """

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    step_loss: list[float] = field(default_factory=list)

    def append(self, figures: dict[str, float]) -> None:
        """Add the figures of one epoch."""
        for name, value in figures.items():
            getattr(self, name).append(value)

    def last(self) -> dict[str, float]:
        """Figures of the latest epoch."""
        return {k: v[-1] for k, v in asdict(self).items() if v and k != "step_loss"}

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    def __len__(self) -> int:
        return len(self.loss)
