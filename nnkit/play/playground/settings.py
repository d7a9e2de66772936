"""The settings of the playground, as the page sends them, checked."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import Any

from nnkit.backends import available_backends
from nnkit.data.problems import GATES, PROBLEMS
from nnkit.kernels.table import ACTIVATIONS
from nnkit.play.connection import RefusedError

REGRESSION_LOSSES = ("mean_squared_error", "half_squared_error", "huber")
CLASS_LOSSES = ("sigmoid_cross_entropy", "binary_cross_entropy", "hinge", *REGRESSION_LOSSES)
LOSSES = {name: REGRESSION_LOSSES if name == "sine" else CLASS_LOSSES for name in PROBLEMS}
"""The losses that go with each problem, the usual one first."""

CHOICES: dict[str, tuple[str, ...]] = {
    "problem": PROBLEMS,
    "activation": tuple(name for name, row in ACTIVATIONS.items() if row.gradient is not None),
    "initial": ("default", "xavier", "he", "small", "large"),
    "loss": CLASS_LOSSES,
    "optimizer": ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"),
    "backend": tuple(available_backends()),
}

LIMITS: dict[str, tuple[float, float]] = {
    "points": (10, 500),
    "noise": (0, 0.5),
    "hidden": (1, 16),
    "lr": (1e-6, 100),
    "batch": (0, 500),
    "decay": (0, 1),
    "dropout": (0, 0.9),
    "seed": (0, 2**31 - 1),
}
"""The least and the most of each number; of `hidden`, of each width."""

MOST_LAYERS = 6
"""Hidden layers."""


@dataclass(frozen=True)
class Settings:
    """A problem, and the network and training that are to solve it."""

    problem: str = "circles"
    points: int = 200
    """Of the classes and the sine; the gates have four."""
    noise: float = 0.05
    hidden: tuple[int, ...] = (4, 4)
    """Units of each hidden layer."""
    activation: str = "tanh"
    """That of the hidden layers."""
    initial: str = "default"
    batch_norm: bool = False
    """Whether it stands in front of each hidden layer's activation."""
    loss: str = "sigmoid_cross_entropy"
    optimizer: str = "sgd"
    lr: float = 0.1
    batch: int = 10
    """Points in a batch; 0, or more than there are: all."""
    decay: float = 0.0
    """Weight decay, see `nnkit.optimizers.Optimizer`."""
    dropout: float = 0.0
    """Behind each hidden layer's activation."""
    seed: int = 0
    """Of the points, and of the model: initial weights, batches, dropout."""
    backend: str = "numba" if "numba" in CHOICES["backend"] else "numpy"

    @property
    def examples(self) -> int:
        """Points that are trained on."""
        return len(GATES["and"]) if self.problem in GATES else self.points

    @property
    def batch_size(self) -> int:
        """Points in a batch."""
        return min(self.batch or self.examples, self.examples)


def parsed(given: Any) -> Settings:
    """Return the settings that a page has sent: those that it leaves out are the usual ones.

    Raises RefusedError where one is unknown, of the wrong type or out of its range, and where they
    do not go together; its values name the `setting`.
    """
    if not isinstance(given, dict):
        raise RefusedError("setting_unknown", setting="settings")
    usual = {field.name: field.default for field in fields(Settings)}
    for name in given.keys() - usual.keys():
        raise RefusedError("setting_unknown", setting=str(name)[:40])
    settings = Settings(**{name: _checked(name, given[name], usual[name]) for name in given})
    _check_together(settings)
    return settings


def number(name: str, value: Any, whole: bool = False) -> Any:
    """Return a number within its limits; raises RefusedError for anything else."""
    low, high = LIMITS[name]
    right = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not right or not (low <= value <= high and isfinite(value)):
        code = "setting_whole" if whole else "setting_number"
        raise RefusedError(code, setting=name, low=low, high=high)
    return value if whole else float(value)


def as_sent(settings: Settings) -> dict[str, Any]:
    """Return the settings as the page has them."""
    return asdict(settings)


def _checked(name: str, value: Any, usual: Any) -> Any:
    if name in CHOICES:
        if value not in CHOICES[name]:
            raise RefusedError("setting_choice", setting=name, choices=", ".join(CHOICES[name]))
        return value
    if isinstance(usual, bool):
        if not isinstance(value, bool):
            raise RefusedError("setting_flag", setting=name)
        return value
    if isinstance(usual, tuple):
        return _widths(name, value)
    return number(name, value, whole=isinstance(usual, int))


def _widths(name: str, value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) > MOST_LAYERS:
        raise RefusedError("setting_layers", setting=name, most=MOST_LAYERS)
    return tuple(number(name, width, whole=True) for width in value)


def _check_together(settings: Settings) -> None:
    losses = LOSSES[settings.problem]
    if settings.loss not in losses:
        raise RefusedError("setting_loss", setting="loss", choices=", ".join(losses))
    last = settings.examples % settings.batch_size or settings.batch_size
    if settings.batch_norm and settings.hidden and last == 1:
        raise RefusedError("setting_single", setting="batch", examples=settings.examples)
