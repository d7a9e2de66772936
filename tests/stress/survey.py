"""Making thousands of attempts in a process of their own, which may crash or hang."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]

SECONDS = 20
"""What an attempt may take; the process may take ten times as long to begin."""


@dataclass
class Survey:
    """What came of the attempts."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def check(self, *needed: str) -> None:
        """Assert that there was no fault, and that each of these outcomes came up."""
        shown = "\n\n".join(self.faults[:5])
        assert not self.faults, f"{len(self.faults)} faults, {dict(self.outcomes)}:\n{shown}"
        assert {*needed} <= self.outcomes.keys(), dict(self.outcomes)


def survey(attempt: str, first: int, count: int) -> Survey:
    """Make `count` attempts, by a function of a seed and an empty folder: "module:function".

    It returns a word for what happened, and raises for what must not happen. After a crash or a
    hang, which are faults too, a new process goes on with the next seed.
    """
    found, seed, last = Survey(), first, first + count
    while seed < last:
        seed = _part(found, attempt, seed, last)
    print(f"{attempt}: {dict(found.outcomes)}, {len(found.faults)} faults")
    return found


def _part(found: Survey, attempt: str, first: int, last: int) -> int:
    """Have one process make attempts until it ends; return the next seed."""
    seed, busy, why = first, False, ""
    with tempfile.TemporaryFile() as said:
        child = _start(attempt, first, last, said)
        try:
            while line := _line(child, SECONDS if seed > first or busy else 10 * SECONDS):
                message = json.loads(line)
                busy = "begun" in message
                seed = message["begun"] if busy else message["seed"] + 1
                _take(found, message)
            why = f"exit code {child.wait(SECONDS)}"
        except (TimeoutError, subprocess.TimeoutExpired):
            why = f"nothing in {SECONDS} s"
        finally:
            child.kill()
            child.communicate()
        if child.returncode == 0 and seed == last:
            return last
        said.seek(0)
        last_words = said.read().decode(errors="replace")[-3000:]
    if seed == first and not busy:
        raise RuntimeError(f"the process of {attempt} does not work: {why}\n{last_words}")
    found.faults.append(f"seed {seed}: {why}\n{last_words}")
    return seed + 1


def _start(attempt: str, first: int, last: int, said: IO[bytes]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.stress.child"]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [*command, attempt, str(first), str(last)],
        bufsize=0,  # so that `select` sees all that there is
        stdout=subprocess.PIPE,
        stderr=said,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
    )


def _take(found: Survey, message: dict[str, Any]) -> None:
    if "fault" in message:
        found.faults.append(f"seed {message['seed']}: {message['fault']}")
    elif "outcome" in message:
        found.outcomes[message["outcome"]] += 1


def _line(child: subprocess.Popen[bytes], seconds: float) -> bytes:
    """Read a line, empty at the end; TimeoutError if there is none in time."""
    assert child.stdout is not None
    if not select.select([child.stdout], [], [], seconds)[0]:
        raise TimeoutError
    return child.stdout.readline()
