"""Learning-rate schedules: functions of how far training has come.

A schedule is called with the number of updates made and the number in all, and returns the factor
by which the optimizer's `lr` is multiplied. `Trainer.fit(schedule=...)` evaluates it once an epoch
into a table that the update kernels read, so that it costs a step nothing. Any function of the two
numbers is a schedule; a checkpoint keeps those of this module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, exp, pi
from typing import Any

import numpy as np

from nnkit import plain
from nnkit.checking import make

Schedule = Callable[[int, int], float]
"""(update, updates in all) to a factor; the first update is number 0."""


class _Numbers:
    """Has Python's numbers for NumPy's, so that a file gives back what there was."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, np.generic):
                object.__setattr__(self, name, value.item())


@dataclass(frozen=True)
class Constant:
    """A factor of 1 throughout."""

    def __call__(self, update: int, total: int) -> float:
        """Factor at this update."""
        return 1.0


@dataclass(frozen=True)
class StepDecay(_Numbers):
    """Multiply by `factor` after every `every` updates."""

    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "every", _whole("StepDecay: every", self.every))

    def __call__(self, update: int, total: int) -> float:
        """``factor ** (update // every)``."""
        return float(self.factor ** (update // self.every))


@dataclass(frozen=True)
class ExponentialDecay(_Numbers):
    """Fall by a factor of e in every `scale` updates."""

    scale: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.scale > 0:
            raise ValueError(f"ExponentialDecay: scale must be positive, not {self.scale}")

    def __call__(self, update: int, total: int) -> float:
        """``exp(-update / scale)``."""
        return exp(-update / self.scale)


@dataclass(frozen=True)
class Cosine(_Numbers):
    """Half a cosine from 1 down to `end` (Loshchilov & Hutter 2017, without restarts)."""

    end: float = 0.0

    def __call__(self, update: int, total: int) -> float:
        """``end + (1 - end) (1 + cos(pi update / total)) / 2``."""
        return self.end + (1 - self.end) * (1 + cos(pi * update / total)) / 2


@dataclass(frozen=True)
class Warmup(_Numbers):
    """Rise linearly to 1 over the first `updates` updates, then follow `then`."""

    updates: int
    then: Schedule = Constant()

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "updates", _whole("Warmup: updates", self.updates))

    def __call__(self, update: int, total: int) -> float:
        """``(update + 1) / updates``, then ``then`` over the updates that remain."""
        if update < self.updates:
            return (update + 1) / self.updates
        return self.then(update - self.updates, max(total - self.updates, 1))


@dataclass(frozen=True)
class OneCycle(_Numbers):
    """Up by a half cosine from 1 / `divide` to 1, then down to almost 0 (Smith & Topin 2018).

    The rise takes the share `rise` of all updates; the end is ``1 / (divide * final_divide)``, as
    in PyTorch's OneCycleLR, whose `max_lr` is the optimizer's `lr` here.
    """

    rise: float = 0.3
    divide: float = 25.0
    final_divide: float = 1e4

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.rise < 1:
            raise ValueError(f"OneCycle: rise must be between 0 and 1, not {self.rise}")
        for name in ("divide", "final_divide"):
            if not getattr(self, name) > 0:
                raise ValueError(f"OneCycle: {name} must be positive, not {getattr(self, name)}")

    def __call__(self, update: int, total: int) -> float:
        """Factor at this update."""
        start, end = 1 / self.divide, 1 / (self.divide * self.final_divide)
        peak = self.rise * total - 1
        if update <= peak:
            return _between(start, 1.0, update / peak if peak > 0 else 1.0)
        return _between(1.0, end, (update - peak) / max(total - 1 - peak, 1))


def _whole(name: str, value: Any) -> int:
    """Check a number of updates, which may be written as a float: ``np.ceil(n / 2)``."""
    if not (value >= 1 and value == value // 1):
        raise ValueError(f"{name} must be a whole number of at least 1, not {value}")
    return int(value)


def _between(a: float, b: float, share: float) -> float:
    """Half a cosine from a (share 0) to b (share 1)."""
    return b + (a - b) * (1 + cos(pi * share)) / 2


@dataclass(frozen=True)
class Missing:
    """What a checkpoint has in place of a schedule that is not of this module."""

    name: str

    def __call__(self, update: int, total: int) -> float:
        """Raise ValueError."""
        raise ValueError(
            f"the run followed the schedule {self.name}, which a checkpoint cannot hold: "
            "give it to resume(schedule=...)"
        )


SCHEDULES: dict[str, type] = {
    cls.__name__: cls
    for cls in (Constant, StepDecay, ExponentialDecay, Cosine, Warmup, OneCycle, Missing)
}


def config(schedule: Schedule) -> dict[str, Any]:
    """Class name and arguments of a schedule, as JSON can hold them."""
    name = type(schedule).__name__
    if SCHEDULES.get(name) is not type(schedule):
        return {"class": "Missing", "name": getattr(schedule, "__name__", name)}
    arguments = vars(schedule).items()
    return {"class": name, **{k: config(v) if callable(v) else v for k, v in arguments}}


def build(config: dict[str, Any]) -> Schedule:
    """Make the schedule that `config` described; raises ValueError where it does not fit."""
    arguments = {k: build(v) if isinstance(v, dict) else v for k, v in config.items()}
    name = arguments.pop("class", None)
    if name not in SCHEDULES:
        raise ValueError(f"unknown schedule {name!r}")
    return make(SCHEDULES[name], arguments)


def difference(asked: dict[str, Any], made: Schedule) -> str | None:
    """Say the first thing in which a schedule is not what a file asked for."""
    return plain.difference(asked, plain.plain(config(made), "schedule"), "schedule")
