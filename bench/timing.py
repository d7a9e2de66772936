"""Timing one call, with CUDA events where it runs on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnkit.backends import Backend

ROUNDS = 20


def measure(benchmark: Any, call: Callable[[], object], backend: Backend) -> float | None:
    """Fastest time of a call by pytest-benchmark; None where it is told not to measure.

    On a GPU, where a call only issues work, the time is that between two events on the stream, and
    pytest-benchmark's own statistics include waiting for the end.
    """

    def complete() -> None:
        call()
        backend.synchronize()

    benchmark(complete)
    if benchmark.stats is None:
        return None
    if backend.name == "cupy":
        return device_seconds(call)
    return float(benchmark.stats.stats.min)


def device_seconds(call: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Fastest time of a call on the current CUDA device, after one that is not timed."""
    from cupy.cuda import Event, get_elapsed_time

    call()
    milliseconds = []
    for _ in range(rounds):
        begin, end = Event(), Event()
        begin.record()
        call()
        end.record()
        end.synchronize()
        milliseconds.append(get_elapsed_time(begin, end))
    return min(milliseconds) / 1e3
