"""Timing one call, on a GPU without what Python takes to issue it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from nnkit.backends import Backend

ROUNDS = 7
MOST_CALLS = 50
"""Calls between two events; a GPU's queue has room for about a thousand launches."""
ENOUGH_SECONDS = 5e-3
"""Work between two events that is long beside their resolution of half a microsecond."""
SPARE_SECONDS = 50e-6
LONGEST_DELAY = 0.2
CALIBRATION = 2_000_000
"""Cycles, about a millisecond."""
SPIN = """
extern "C" __global__ void spin(long long cycles) {
    const long long start = clock64();
    while (clock64() - start < cycles);
}
"""


def measure(benchmark: Any, call: Callable[[], object], backend: Backend) -> float | None:
    """Fastest time of a call by pytest-benchmark; None where it is told not to measure.

    On a GPU, where a call only issues work, it is the time of `device_seconds`, and what
    pytest-benchmark measures is one call until the device is idle.
    """

    def complete() -> None:
        call()
        backend.synchronize()

    if backend.name == "cupy":
        benchmark.pedantic(complete)
        return None if benchmark.stats is None else device_seconds(call)
    benchmark(complete)
    return None if benchmark.stats is None else float(benchmark.stats.stats.min)


def device_seconds(call: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Fastest time of a call on the current CUDA device, the average of several in each round.

    The device spins while the calls are issued, and then finds all of them in its queue. Where it
    was done with spinning before, because issuing took longer than usual, the round counts all the
    same, but the next one spins for longer.
    """
    from cupy.cuda import Event

    issue, seconds = _issue_seconds(call)
    calls = max(1, min(MOST_CALLS, int(ENOUGH_SECONDS / seconds)))
    delay = 2 * calls * issue + SPARE_SECONDS
    found = []
    for _ in range(rounds):
        begin, end = Event(), Event()
        spin(delay)
        begin.record()
        for _ in range(calls):
            call()
        end.record()
        if begin.done:
            delay = min(2 * delay, LONGEST_DELAY)
        found.append(_seconds(begin, end) / calls)
    return min(found)


def _issue_seconds(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds that issuing a call takes, and those until it is done, after one that may compile."""
    from cupy.cuda import Device

    for _ in range(2):
        Device().synchronize()
        start = time.perf_counter()
        call()
        issued = time.perf_counter()
        Device().synchronize()
    return issued - start, time.perf_counter() - start


def spin(seconds: float) -> None:
    """Keep the device busy for about so long."""
    _spin(int(seconds * cycles_per_second()))


@cache
def cycles_per_second() -> float:
    """Count the cycles of the device's clock."""
    from cupy.cuda import Event

    for _ in range(2):  # the first time compiles, and wakes the clock up
        begin, end = Event(), Event()
        begin.record()
        _spin(CALIBRATION)
        end.record()
        elapsed = _seconds(begin, end)
    return CALIBRATION / elapsed


@cache
def _kernel() -> Any:
    import cupy

    return cupy.RawKernel(SPIN, "spin")


def _spin(cycles: int) -> None:
    _kernel()((1,), (1,), (np.int64(cycles),))


def _seconds(begin: Any, end: Any) -> float:
    from cupy.cuda import get_elapsed_time

    end.synchronize()
    return float(get_elapsed_time(begin, end)) / 1e3
