"""A rank that is killed or stopped at any moment ends all others, which say so."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from tests.forked import run
from tests.stress.share import first_seed, share_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

MOST = 8
"""Seconds of a run: one is that of silence, in three of them ranks may end by themselves."""


@pytest.mark.parametrize("attempt", range(share_of(60, 1)))
def test_any_rank_at_any_moment(attempt):
    rng = np.random.default_rng(first_seed() + attempt)
    size = int(rng.integers(2, 5))
    who, how = int(rng.integers(size)), str(rng.choice(["kill", "stop"]))
    found = run("struck", how, who, round(rng.uniform(0, 0.5), 4), size=size, TIMEOUT="1")
    reason = {
        "kill": f"rank {who} of {size} was killed, or lost its connection",
        "stop": f"rank {who} of {size} has not answered for 1 s",
    }[how]
    case = (attempt, size, how, who, found)
    assert found[who].code == -9, case
    for rank in (rank for i, rank in enumerate(found) if i != who):
        assert rank.code == 1, case
        assert rank.said.splitlines()[-1].endswith(reason), case
    assert max(rank.seconds for rank in found) < MOST, case
