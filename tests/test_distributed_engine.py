"""Ranks that are processes: what they add up and gather, and how a run ends if one of them does."""

from __future__ import annotations

import re
import shutil
import socket
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.forked import run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX's processes")

MPIEXEC = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or shutil.which("mpiexec")
BY_MPI = pytest.mark.skipif(
    not MPIEXEC or find_spec("mpi4py") is None, reason="there is no mpiexec, or no mpi4py"
)
SILENT = "rank {} of {} has not answered for 1 s"
REASONS = {
    "raise": "rank {} of {} ended: ValueError: no such file",
    "kill": "rank {} of {} was killed, or lost its connection",
    "stop": SILENT,
    "hang": SILENT,
    "leave": "rank {} of {} ended before the others",
}
OWN_CODES = {"raise": 1, "kill": -9, "stop": -9, "hang": 1, "leave": 0}
MOST = {"stop": 8, "hang": 8}
"""Seconds until all have ended: a second of silence, those in which a rank may end itself, some
more as the machine is busy with other tests."""


@pytest.mark.parametrize("scenario", ["sums", "compressed", "forks"])
@pytest.mark.parametrize("size", [2, 3])
def test_scenarios_by_sockets(scenario, size):
    assert [(rank.code, rank.said) for rank in run(scenario, size=size)] == [(0, "")] * size


@BY_MPI
@pytest.mark.parametrize("scenario", ["sums", "compressed", "forks"])
def test_scenarios_by_mpi(scenario):
    (found,) = run(scenario, by=(MPIEXEC, "-n", "2"))
    assert (found.code, found.said) == (0, "")


@pytest.mark.parametrize("who", [0, 1])
@pytest.mark.parametrize("how", sorted(REASONS))
def test_one_rank_ends_all(how, who):
    found = run("end", how, who, size=3, TIMEOUT="1")
    assert found[who].code == OWN_CODES[how]
    for rank in (rank for i, rank in enumerate(found) if i != who):
        assert (rank.code, rank.said.splitlines()[-1]) == (
            1,
            f"nnkit.distributed.contract.RankError: {REASONS[how].format(who, 3)}",
        )
        assert "During handling" not in rank.said
    assert max(rank.seconds for rank in found) < MOST.get(how, 5)


@BY_MPI
@pytest.mark.parametrize("how", sorted(REASONS))
def test_one_rank_ends_all_by_mpi(how):
    (found,) = run("end", how, 1, by=(MPIEXEC, "-n", "2"), TIMEOUT="1")
    assert found.code
    assert REASONS[how].format(1, 2) in found.said
    assert found.seconds < MOST.get(how, 5) + 2


def test_ranks_need_not_meet_all_the_time():
    assert [rank.code for rank in run("idle", TIMEOUT="1")] == [0, 0]


def test_a_rank_that_does_not_come():
    (first, second) = run("meet", WORLD_SIZE="3", TIMEOUT="1")
    text = "TimeoutError: of 3 ranks, these did not come to rank 0 within 1 s: 2"
    assert (first.code, first.said.splitlines()[-1]) == (1, text)
    text = (
        "nnkit.distributed.contract.RankError: rank 0 of 3 ended before all ranks had met: its own "
        "error says why"
    )
    assert (second.code, second.said.splitlines()[-1]) == (1, text)


def test_nobody_is_rank_0():
    for rank in run("meet", RANK="1", TIMEOUT="0.5"):
        said = re.sub(r":\d+:", ":port:", rank.said.splitlines()[-1])
        assert (rank.code, said) == (
            1,
            "TimeoutError: rank 1 did not reach rank 0 within 0.5 s (127.0.0.1:port: [Errno 111] "
            "Connection refused): MASTER_ADDR and MASTER_PORT must be those of rank 0, and the "
            "same on all ranks, as WORLD_SIZE",
        )


def test_a_port_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        first, second = run("meet", MASTER_PORT=port, TIMEOUT="1")
    assert first.said.splitlines()[-1] == (
        f"OSError: rank 0 cannot listen at MASTER_ADDR=127.0.0.1, MASTER_PORT={port} (Address "
        "already in use): MASTER_ADDR must be an address of the machine where rank 0 runs, "
        "MASTER_PORT a port that no other program uses"
    )
    assert second.code == 1
