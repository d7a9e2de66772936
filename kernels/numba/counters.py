"""The three counters that change from step to step, and what is looked up by them."""

from typing import Any

from nnkit.kernels.numba.codegen.jit import inline, shared

STEP, UPDATES, FORWARDS = 0, 1, 2
"""Places in `counters`: the step within the epoch, optimizer updates made, stochastic forwards."""


@inline
def learning_rate(lr: Any, counters: Any) -> float:
    """Learning rate of this step: the schedule's element, or the only one."""
    return lr[counters[STEP]] if lr.size > 1 else lr[0]  # type: ignore[no-any-return]


@shared(grain=1)
def advance(counters: Any, step: int, updates: int, forwards: int, team: Any) -> None:
    """Add to the three counters."""
    counters[STEP] += step
    counters[UPDATES] += updates
    counters[FORWARDS] += forwards
