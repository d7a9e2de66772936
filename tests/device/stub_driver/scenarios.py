"""What is tried over the pretend driver. Each scenario returns what a test then looks at."""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import nullcontext
from typing import Any

import cupy
import cupyx
import numpy as np

import nnkit
from nnkit.backends import Backend
from nnkit.training.steps import CaptureWarning
from tests.device.stub_driver import faults, graphs, memory, rules, runs
from tests.device.stub_driver.order import ORDERS, device, order
from tests.device.stub_driver.queues import PER_THREAD

Report = dict[str, Any]


def every_order(backend: Backend) -> Report:
    """Do everything in every order on the default stream and on those that users make."""
    return _compare(backend, runs.STREAMS)


def per_thread_stream(backend: Backend) -> Report:
    """Do everything on the stream that CUPY_CUDA_PER_THREAD_DEFAULT_STREAM makes the default."""
    assert cupy.cuda.get_current_stream().ptr == PER_THREAD
    return _compare(backend, {"per_thread": nullcontext})


def _compare(backend: Backend, chosen: dict[str, Callable[[], Any]]) -> Report:
    """Compare with work that is carried out at once; `different` names what is not the same."""
    want = {name: run(backend) for name, run in runs.RUNS.items()}
    different, uncaptured, allocating = [], [], set()
    for stream, chosen_order, name in _turns(chosen):
        launched = len(graphs.launched_graphs)
        memory.allocated_in_capture.clear()
        with order(chosen_order), chosen[stream]():
            got = runs.RUNS[name](backend)
            gc.collect()
        parts = [part for part, digest in got.items() if digest != want[name][part]]
        if parts:
            different.append(f"{stream}, {chosen_order}, {name}: {' '.join(parts)}")
        if memory.allocated_in_capture:
            allocating.add(name)
        if ("step by step" in name) != (len(graphs.launched_graphs) == launched):
            uncaptured.append(f"{stream}, {chosen_order}, {name}")
    return {
        "different": different,
        "uncaptured": uncaptured,
        "allocated_in_capture": sorted(allocating),
    }


def _turns(streams: Collection[str]) -> Iterator[tuple[str, str, str]]:
    """Any two of stream, order and work; the other half of all three in `make test-large`."""
    half = 1 if os.environ.get("NNKIT_TEST_LARGE") else 0
    for i, stream in enumerate(streams):
        for j, chosen_order in enumerate(ORDERS):
            for k, name in enumerate(runs.RUNS):
                if (i + j + k) % 2 == half:
                    yield stream, chosen_order, name


def threads(backend: Backend) -> Report:
    """Train three networks at a time, in every order."""
    want = runs.resident(backend)
    different = []
    for chosen in ORDERS:
        with order(chosen):
            found = runs.side_by_side(backend)
        different += [f"{name}, {chosen}" for name, got in found.items() if got != want]
    return {"different": different}


# ------------------------------------------------------------------ what a layer may call


class Calling(nnkit.Layer):
    """Calls something after a few steps, in the one that is captured among others."""

    capturable = True

    def __init__(self, call: str) -> None:
        self.call, self.forwards, self.kept = call, 0, None

    def forward(self, x: Any) -> Any:
        self.forwards += 1
        call = self.call if self.forwards > 2 else None
        if call == "float":
            self.kept = float(x[0, 0])
        if call == "asarray":
            self.kept = self.backend.asarray(np.ones(3, "f"))
        if call == "synchronize":
            self.backend.synchronize()
        if call == "x + 1":
            self.kept = x + 1
        if call == "empty_pinned":
            self.kept = cupyx.empty_pinned(10)
        return x

    def backward(self, dy: Any) -> Any:
        return dy

    def __repr__(self) -> str:
        return f"Calling({self.call!r})"


CALLS = "float", "asarray", "synchronize", "x + 1", "empty_pinned"


def calls_in_capture(backend: Backend) -> Report:
    """Train through layers that call what a captured step must not; one report for each call."""
    x, t = runs.data(8 * runs.BATCH)
    reports = {}
    for call in CALLS:
        digests = []
        for compile, chosen in ((False, "immediate"), (True, "last")):
            trainer = nnkit.Trainer(runs.network(backend, Calling(call)))
            mine, launched = runs.Fill(), len(graphs.launched_graphs)
            with order(chosen), warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                trainer.fit(x, t, runs.EPOCHS, runs.BATCH, callbacks=[mine], compile=compile)
                untouched = all(bool((array == 7).all()) for array in mine.arrays)
                digests.append(runs.fingerprint(trainer))
        reports[call] = {
            "warnings": [str(w.message) for w in caught if w.category is CaptureWarning],
            "others": [str(w.message) for w in caught if w.category is not CaptureWarning],
            "captured": len(graphs.launched_graphs) > launched,
            "same": digests[0] == digests[1],
            "untouched": untouched,
            "still_capturing": len(device.capturing()),
        }
    return {"calls": reports}


SCENARIOS: dict[str, Callable[[Backend], Report]] = {
    "every_order": every_order,
    "per_thread_stream": per_thread_stream,
    "threads": threads,
    "calls_in_capture": calls_in_capture,
    "faults": lambda backend: {"unnoticed": faults.unnoticed(backend)},
    "rules": lambda backend: {"broken": rules.broken()},
}
