"""The surveys find what they are there to find."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.stress import guard, survey
from tests.stress.bytes import KINDS, damaged

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits as Linux has them")

BAD = {3: "crash", 5: "raise", 6: "program", 8: "elsewhere", 10: "memory", 12: "hang"}


def attempt(seed: int, folder: Path) -> str:
    """What `test_a_survey...` has made, in the survey's own process."""
    what = BAD.get(seed, "")
    if what == "crash":
        os.abort()
    if what == "raise":
        raise ValueError("wrong")
    if what == "program":
        subprocess.run(["true"], check=True)
    if what == "elsewhere":
        os.close(os.open(folder.parent / "stray", os.O_CREAT | os.O_WRONLY))
    if what == "memory":
        guard.MOST_KIB = 64 * 1024
        np.ones(100 << 20, np.uint8)
    if what == "hang":
        time.sleep(60)
    (folder / "own").write_text("")
    return "even" if seed % 2 == 0 else "odd"


def test_a_survey_finds_every_kind_of_fault_and_goes_on(monkeypatch):
    monkeypatch.setattr(survey, "SECONDS", 4)
    found = survey.survey(f"{__name__}:attempt", 0, 14)
    assert found.outcomes == {"even": 3, "odd": 5}
    by_seed = {int(fault.split()[1].rstrip(":")): fault for fault in found.faults}
    assert by_seed.keys() == BAD.keys()
    assert "exit code -6" in by_seed[3]
    assert "ValueError: wrong" in by_seed[5]
    assert "ForbiddenError: subprocess.Popen" in by_seed[6]
    assert "ForbiddenError: open for writing" in by_seed[8]
    assert "MiB of memory" in by_seed[10]
    assert "nothing in 4 s" in by_seed[12]
    with pytest.raises(AssertionError, match="6 faults"):
        found.check()


def test_outcomes_that_never_came_up_are_an_error():
    found = survey.Survey()
    found.outcomes["same"] += 1
    found.check("same")
    with pytest.raises(AssertionError):
        found.check("same", "refused")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("data", [b"", b"a", bytes(range(200))], ids=len)
def test_any_bytes_can_be_damaged(kind, data):
    rng = np.random.default_rng(0)
    results = set()
    for _ in range(100):
        result = bytearray(data)
        kind(result, rng)
        results.add(bytes(result))
    assert len(results) > 10 or len(data) < 2


def test_the_same_seed_damages_alike():
    data = bytes(range(100))
    first, again = (damaged(data, np.random.default_rng(1)) for _ in range(2))
    assert first == again != data
