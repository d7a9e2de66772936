"""CuPy itself, where there is no GPU: over a pretend driver that runs work as late as it may.

Nothing here says what a GPU computes or how fast. It says that nothing depends on when the GPU
does what it is told: not the order of streams, not memory that is given back or written to again.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.device.stub_driver import process

ROOT = Path(__file__).parents[1]
REASON = process.unavailable()
MOST_SECONDS = 300
"""For a scenario, which takes a few: one that waits forever is to fail."""

pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))


@functools.cache
def report(scenario: str, **environment: str) -> dict[str, Any]:
    """Carry out a scenario in a process of its own, once; nothing may have failed in it."""
    inherited = {name: value for name, value in os.environ.items() if name[:5] != "CUPY_"}
    command = [sys.executable, "-m", "tests.device.stub_driver", scenario]
    result = subprocess.run(
        command,
        cwd=ROOT,
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=MOST_SECONDS,
    )
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    assert found["capturing"] == 0
    return found


PER_THREAD = {"CUPY_CUDA_PER_THREAD_DEFAULT_STREAM": "1"}


@pytest.mark.parametrize(
    ("scenario", "environment"), [("every_order", {}), ("per_thread_stream", PER_THREAD)]
)
def test_all_is_the_same_in_every_order(scenario, environment):
    """And nothing fails, and all is captured."""
    found = report(scenario, **environment)
    assert found["different"] == []
    assert found["failures"] == []
    assert found["races"] == []
    assert found["uncaptured"] == []
    assert found["allocated_in_capture"] == ["apart"]


def test_threads_on_streams_of_their_own():
    found = report("threads")
    assert found["failures"] == []
    assert found["races"] == []
    assert found["different"] == []


@pytest.mark.parametrize("call", ["float", "asarray", "synchronize", "x + 1", "empty_pinned"])
def test_what_a_layer_calls_in_a_captured_step(call):
    """Each call either is safe, or the step is not captured, and the warning says why."""
    found = report("calls_in_capture")
    assert found["failures"] == []
    about = found["calls"][call]
    assert about["same"]
    assert about["untouched"]
    assert about["still_capturing"] == 0
    assert about["others"] == []
    assert len(about["warnings"]) == (not about["captured"])
    for message in about["warnings"]:
        assert f"layer 4: Calling({call!r})" in message
        assert call in message.split("`")[1]
    assert about["captured"] == (call == "empty_pinned")


def test_faults_are_found():
    """Backends that are broken on purpose give other results: these tests can fail."""
    assert report("faults")["unnoticed"] == []


def test_the_rules_of_cuda():
    found = report("rules")
    assert found["broken"] == []
    assert found["failures"] == []
