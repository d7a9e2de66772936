"""The three counters that change from step to step, and what is looked up by them."""

from typing import Any

from nnkit.kernels.numba.codegen.jit import inline, shared

STEP, UPDATES, FORWARDS = 0, 1, 2
"""Places in `counters`: the step within the epoch, optimizer updates made, stochastic forwards."""


@inline
def learning_rate(lr: Any, counters: Any) -> float:
    """Learning rate of this step: the schedule's element, the nearest beyond its ends."""
    return lr[min(max(counters[STEP], 0), lr.size - 1)]  # type: ignore[no-any-return]


@inline
def write_log(log: Any, counters: Any, loss: float, correct: float) -> None:
    """Enter a step's loss and right answers, if the log has a row for it."""
    step = counters[STEP]
    if 0 <= step < len(log):
        log[step, 0], log[step, 1] = loss, correct


@shared(grain=1)
def advance(counters: Any, step: int, updates: int, forwards: int, team: Any) -> None:
    """Add to the three counters."""
    counters[STEP] += step
    counters[UPDATES] += updates
    counters[FORWARDS] += forwards
