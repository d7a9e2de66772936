"""The three counters that change from step to step, and what is looked up by them."""

from __future__ import annotations

from nnkit.backends.contract import STEP, Array, Out


def current(lr: Array, counters: Array) -> float:
    """Learning rate of this step: the schedule's element, the nearest beyond its ends."""
    return float(lr[min(max(int(counters[STEP]), 0), len(lr) - 1)])


def write_log(log: Out, counters: Array, loss: float, correct: float) -> None:
    """Enter a step's loss and right answers, if the log has a row for it."""
    step = int(counters[STEP])
    if 0 <= step < len(log):
        log[step] = loss, correct


def advance(counters: Out, step: int, updates: int, forwards: int) -> None:
    counters += (step, updates, forwards)
