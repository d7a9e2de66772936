"""The three counters that change from step to step, and what is looked up by them."""

from __future__ import annotations

from nnkit.backends.contract import STEP, Array, Out


def current(lr: Array, counters: Array) -> float:
    """Learning rate of this step: the schedule's element, or the only one."""
    return float(lr[counters[STEP]] if len(lr) > 1 else lr[0])


def advance(counters: Out, step: int, updates: int, forwards: int) -> None:
    counters += (step, updates, forwards)
