"""Backends that are broken on purpose, to see that it is found."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import cupy
import cupyx
import numpy as np

from nnkit import DivergenceError
from tests.device.stub_driver import functions, runs
from tests.device.stub_driver.order import device, order


def _give_back_pinned_memory(backend: Any) -> None:
    """Let CuPy's pool hand out pinned memory again before it has been read."""
    copying = cupy.cuda.Stream(non_blocking=True)

    def copy_from_host(host: np.ndarray, out: Any) -> Any:
        copying.wait_event(cupy.cuda.get_current_stream().record())
        pinned = cupyx.empty_pinned(host.shape, host.dtype)
        pinned[...] = host
        out.set(pinned, stream=copying)
        return copying.record()

    backend.copy_from_host = copy_from_host
    backend.wait_for = lambda event: cupy.cuda.get_current_stream().wait_event(event)


def _do_not_wait_for_copies(backend: Any) -> None:
    backend.wait_for = lambda copy: None


def _launch_on_another_stream(backend: Any) -> None:
    """Capture, and launch the graph on a stream that a user's does not know of."""
    other = cupy.cuda.Stream()

    def capture(step: Callable[[], object]) -> Callable[[int], None]:
        with other:
            other.begin_capture()
            step()
            graph = other.end_capture()
        return lambda times: [graph.launch(other) for _ in range(times)] and None

    backend.capture = capture


def _take_no_turns(backend: Any) -> None:
    """Have streams share scratch memory without waiting for each other."""
    backend.turns.take = lambda: None


def _do_not_lock(backend: Any) -> None:
    """Have threads come between a turn that is taken and the work that it is for."""
    backend.turns.lock = nullcontext()


def _keep_nothing(backend: Any) -> None:
    """Have graphs write to memory that others may get."""
    backend.capturing.keep = lambda arrays: None


FAULTS: dict[str, tuple[Callable[[Any], None], Callable[[Any], Any], str, str]] = {
    "pinned memory": (_give_back_pinned_memory, runs.streamed, "null", "first"),
    "copies": (_do_not_wait_for_copies, runs.streamed, "null", "last"),
    "another stream": (_launch_on_another_stream, runs.resident, "non_blocking", "last"),
    "turns": (_take_no_turns, runs.side_by_side, "null", "last"),
    "lock": (_do_not_lock, runs.side_by_side, "null", "last"),
    "kept": (_keep_nothing, runs.larger_in_between, "null", "first"),
}
"""Each with a run, a stream and an order that show it."""


def unnoticed(backend: Any) -> list[str]:
    """Break the backend in each way; return those that changed nothing and led to no complaint."""
    found = []
    for name, (break_, run, stream, chosen) in FAULTS.items():
        want = run(backend)
        functions.failures.clear()
        device.races.found.clear()
        parts = backend, backend.turns, backend.capturing
        before = [dict(vars(part)) for part in parts]
        break_(backend)
        try:
            with order(chosen), runs.STREAMS[stream]():
                same = run(backend) == want
        except (DivergenceError, IndexError):  # the run has seen what came of it
            same = False
        finally:
            for part, values in zip(parts, before, strict=True):
                vars(part).clear()
                vars(part).update(values)
        if same and not functions.failures and not device.races.found:
            found.append(name)
    return found
