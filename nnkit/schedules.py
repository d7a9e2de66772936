"""Learning-rate schedules: functions of how far training has come.

A schedule is called with the number of updates made and the number in all, and returns the factor
by which the optimizer's `lr` is multiplied. `Trainer.fit(schedule=...)` evaluates it once an epoch
into a table that the update kernels read, so that it costs a step nothing. Any function of the two
numbers is a schedule; a checkpoint keeps those of this module.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, exp, pi
from typing import TYPE_CHECKING, Any

from nnkit.files import plain
from nnkit.files.checking import make
from nnkit.given.frozen import frozen
from nnkit.given.missing import missing
from nnkit.given.options import integer, number, shown

Schedule = Callable[[int, int], float]
"""(update, updates in all) to a factor; the first update is number 0."""


@frozen
class Constant:
    """A factor of 1 throughout."""

    def __call__(self, update: int, total: int) -> float:
        """Factor at this update."""
        return 1.0


@frozen
class StepDecay:
    """Multiply by `factor` after every `every` updates."""

    every: int = integer(least=1)
    factor: float = number(least=0, default=0.1)

    def __call__(self, update: int, total: int) -> float:
        """``factor ** (update // every)``."""
        return float(self.factor ** (update // self.every))


@frozen
class ExponentialDecay:
    """Fall by a factor of e in every `scale` updates."""

    scale: float = number(above=0)

    def __call__(self, update: int, total: int) -> float:
        """``exp(-update / scale)``."""
        return exp(-update / self.scale)


@frozen
class Cosine:
    """Half a cosine from 1 down to `end` (Loshchilov & Hutter 2017, without restarts)."""

    end: float = number(least=0, default=0.0)

    def __call__(self, update: int, total: int) -> float:
        """``end + (1 - end) (1 + cos(pi update / total)) / 2``."""
        return self.end + (1 - self.end) * (1 + cos(pi * update / total)) / 2


@frozen
class Warmup:
    """Rise linearly to 1 over the first `updates` updates, then follow `then`."""

    updates: int = integer(least=1)
    then: Schedule = Constant()

    def __post_init__(self) -> None:
        checked(self.then, "Warmup: then")

    def __call__(self, update: int, total: int) -> float:
        """``(update + 1) / updates``, then ``then`` over the updates that remain."""
        if update < self.updates:
            return (update + 1) / self.updates
        return self.then(update - self.updates, max(total - self.updates, 1))


@frozen
class OneCycle:
    """Up by a half cosine from 1 / `divide` to 1, then down to almost 0 (Smith & Topin 2018).

    The rise takes the share `rise` of all updates; the end is ``1 / (divide * final_divide)``, as
    in PyTorch's OneCycleLR, whose `max_lr` is the optimizer's `lr` here.
    """

    rise: float = number(above=0, below=1, default=0.3)
    divide: float = number(above=0, default=25.0)
    final_divide: float = number(above=0, default=1e4)

    def __call__(self, update: int, total: int) -> float:
        """Factor at this update."""
        start, end = 1 / self.divide, 1 / (self.divide * self.final_divide)
        peak = self.rise * total - 1
        if update <= peak:
            return _between(start, 1.0, update / peak if peak > 0 else 1.0)
        return _between(1.0, end, (update - peak) / max(total - 1 - peak, 1))


def checked(schedule: Any, name: str = "schedule") -> Schedule:
    """Return it if it can be called with two numbers; otherwise raise TypeError with the remedy."""
    if isinstance(schedule, type):
        raise TypeError(f"{name} is the class {schedule.__name__}: write {schedule.__name__}(...)")
    if not callable(schedule):
        raise TypeError(
            f"{name} must be such as nnkit.schedules.Cosine(), or a function of (update, updates "
            f"in all), not {shown(schedule)}"
        )
    result: Schedule = schedule
    return result


def _between(a: float, b: float, share: float) -> float:
    """Half a cosine from a (share 0) to b (share 1)."""
    return b + (a - b) * (1 + cos(pi * share)) / 2


@frozen
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


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Say which name was meant by one that is not there."""
        raise missing(__name__, name, SCHEDULES)
