"""What the command line's options say about a network and its training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnkit.augment import Augment

RATES = {
    "sgd": 0.1,
    "momentum": 0.05,
    "adagrad": 0.01,
    "rmsprop": 0.001,
    "adam": 0.001,
    "adamw": 0.001,
}
"""Default learning rates."""

RATES_OF_MODELS = {"adam": 0.003, "adamw": 0.003}
"""Those of the networks of `nnkit.models`, where they differ."""


@dataclass(frozen=True)
class Settings:
    """The options that make a network and its training; None is a default that depends on data."""

    epochs: int | None
    batch_size: int | None
    model: str | None
    """A name of `nnkit.models`; None is a network of `hidden`, `activation` and `dropout`."""
    hidden: tuple[int, ...]
    activation: str
    optimizer: str
    lr: float | None
    schedule: str
    weight_decay: float | None
    dropout: float
    augment: Augment
    dtype: str
    seed: int
    image_size: tuple[int, int] | None
    color: bool
    target: str | None = None
    drop: tuple[str, ...] = ()
    impute: bool = False
    regression: bool | None = None

    @property
    def table(self) -> dict[str, Any]:
        """How a table is read, as `nnkit.data.load` takes it."""
        names = ("target", "drop", "impute", "regression")
        return {name: getattr(self, name) for name in names}

    @property
    def rate(self) -> float:
        """The learning rate, or its default."""
        if self.lr is not None:
            return self.lr
        of_model = {} if self.model is None else RATES_OF_MODELS
        return of_model.get(self.optimizer, RATES[self.optimizer])
