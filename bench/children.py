"""Child processes that hold a peer each and sleep until it is their turn.

Frameworks bring threads of their own, which spin for a while after their work and would slow down
whoever comes next in the same process. In processes of their own, and with the parent waiting until
they are asleep, they do not meet.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Timer
from typing import Any

from bench.machine import ROOT
from nnkit import openblas

THREAD_VARIABLES = (
    "NNKIT_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
)
ANSWER_SECONDS = 120
"""Usual longest wait for an answer; compiling a network takes seconds, or tens of them."""
ASLEEP = 0.02
"""Share of a core below which a process counts as asleep."""


class PeerError(Exception):
    """What a child answers, or does not, when something fails."""


class Child:
    """A running `bench.worker`, which can be asked something once it has said `hello`."""

    hello: dict[str, Any]

    def __init__(
        self, key: str, device: str, threads: int, patience: float = ANSWER_SECONDS
    ) -> None:
        self.key, self.patience = key, patience
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the process
        self.process = start(
            [sys.executable, "-m", "bench.worker", key],
            device,
            threads,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
        )
        self.own_seconds = 0.0
        """CPU time it used in its own turns."""
        self._asked_at = 0.0

    def greet(self) -> None:
        """Wait for its `hello`; ends it and raises PeerError where the peer cannot work."""
        try:
            self.hello = self._read()
        except PeerError:
            self.stop()
            raise

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and return the answer once the process is asleep again."""
        self.send(**request)
        return self.answer()

    def send(self, **request: Any) -> None:
        """Send a request, whose `answer` is asked for later."""
        assert self.process.stdin is not None
        self._asked_at = self.cpu_seconds()
        try:
            print(json.dumps(request), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            raise PeerError(self._last_words()) from None

    def answer(self) -> dict[str, Any]:
        """Wait for the answer, and until the process is asleep again."""
        answer = self._read()
        self.settle()
        self.own_seconds += self.cpu_seconds() - self._asked_at
        return answer

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        timer = Timer(self.patience, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        if not line:
            raise PeerError(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerError(answer["error"])
        return answer

    def _last_words(self) -> str:
        code = self.process.wait()
        self.log.seek(0)
        lines = self.log.read().strip().splitlines()
        return f"it ended with code {code}: {lines[-1] if lines else 'no message'}"

    def settle(self, limit: float = 1.0) -> None:
        """Wait until all threads of the process are asleep."""
        deadline = time.perf_counter() + limit
        seconds = self.cpu_seconds()
        while time.perf_counter() < deadline:
            start = time.perf_counter()
            time.sleep(0.005)
            before, seconds = seconds, self.cpu_seconds()
            if seconds - before < ASLEEP * (time.perf_counter() - start):
                return

    def cpu_seconds(self) -> float:
        """CPU time of all its threads so far; 0 where the system does not tell."""
        nanoseconds = 0
        for task in Path(f"/proc/{self.process.pid}/task").glob("*/schedstat"):
            try:
                nanoseconds += int(task.read_text().split()[0])
            except (OSError, IndexError):
                continue
        return nanoseconds / 1e9

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.log):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()


def start(
    command: Sequence[str],
    device: str,
    threads: int,
    variables: Mapping[str, str] | None = None,
    **streams: Any,
) -> subprocess.Popen[str]:
    """Start a process in the root of the repository; on a CPU, on the first `threads` cores."""
    given = environment(device, threads) | dict(variables or {})
    process = subprocess.Popen(command, cwd=ROOT, env=given, text=True, **streams)
    if device == "cpu" and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process.pid, sorted(os.sched_getaffinity(0))[:threads])
    return process


def environment(device: str, threads: int) -> dict[str, str]:
    """Environment of a child: equal threads for all, and OpenBLAS made to use AVX-512."""
    chosen = {**os.environ, **openblas.environment(), "NNKIT_BENCH_DEVICE": device}
    chosen |= dict.fromkeys(THREAD_VARIABLES, str(threads))
    chosen |= {"TORCHINDUCTOR_COMPILE_THREADS": "1", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    if device == "cpu":
        chosen |= {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    return chosen
