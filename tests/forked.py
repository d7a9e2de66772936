"""Ranks as processes: `run` starts a program that forks itself, each child with its RANK.

So that Python and NumPy are loaded once, whatever the number of ranks. Started by mpiexec, the
program is a rank itself.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple

import numpy as np

from nnkit import distributed
from nnkit.backends import get_backend
from nnkit.distributed import Communicator, RankError

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 60
"""After which a run is ended that should have been over long ago."""
SIZES = (0, 1, 2, 3, 1001, 100_000)


class Rank(NamedTuple):
    """What became of a rank."""

    code: int
    seconds: float
    said: str


def run(
    scenario: str, *arguments: object, size: int = 2, by: tuple[str, ...] = (), **environment: str
) -> list[Rank]:
    """Carry out a scenario on so many ranks; by mpiexec there is one result for all of them."""
    start = ["rank"] if by else ["fork", str(size)]
    own = [sys.executable, "-m", "tests.forked", *start, scenario, *map(str, arguments)]
    began = time.monotonic()
    done = subprocess.run(
        [*by, *own],
        cwd=ROOT,
        env={**os.environ, **environment, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if by:
        return [Rank(done.returncode, time.monotonic() - began, done.stdout + done.stderr)]
    assert done.returncode == 0, done.stderr
    return [Rank(*each) for each in json.loads(done.stdout)]


def sums(ranks: Communicator) -> None:
    """Sums of several dtypes and sizes are right, and have the same bits everywhere."""
    backend = get_backend("numpy")
    for name in ("float32", "float64", "int64", "uint8"):
        for size in SIZES:
            given = [np.random.default_rng(r).integers(0, 60, size) for r in range(ranks.size)]
            x = given[ranks.rank].astype(name)
            ranks.all_reduce(backend, x)
            assert np.array_equal(x, sum(given).astype(name)), (name, size)
    x = np.random.default_rng(ranks.rank).standard_normal(10_001).astype(np.float32)
    ranks.all_reduce(backend, x)
    assert len({theirs.tobytes() for theirs in ranks.gather(x)}) == 1
    assert ranks.gather({"rank": ranks.rank}) == [{"rank": r} for r in range(ranks.size)]
    assert (ranks.local_rank, ranks.local_size) == (ranks.rank, ranks.size)
    assert distributed.communicator() is ranks


def compressed(ranks: Communicator) -> None:
    """Gradients of float32 are rounded to bfloat16, what must be exact is not."""
    backend = get_backend("numpy")
    for name, compress, rounded in (
        ("float32", True, True),
        ("float32", False, False),
        ("float64", True, False),
    ):
        x = np.full(2000, 1 + 2.0**-12, name)
        ranks.all_reduce(backend, x, compress)
        assert (x == ranks.size * (1 if rounded else 1 + 2.0**-12)).all(), (name, compress)


def end(ranks: Communicator, how: str, who: str) -> None:
    """One rank ends in some way, after some sums and gatherings of all."""
    x = np.zeros(1000, np.float32)
    for step in range(1000):
        ranks.all_reduce(get_backend("numpy"), x)
        ranks.gather(step)
        if step == 20 and ranks.rank == int(who):
            ENDS[how]()


def _raise() -> None:
    raise ValueError("no such file")


ENDS: dict[str, Callable[[], Any]] = {
    "raise": _raise,
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "hang": lambda: time.sleep(SECONDS),
    "leave": lambda: sys.exit(0),
}


def struck(ranks: Communicator, how: str, who: str, seconds: str) -> None:
    """One rank is killed or stopped at some moment of sums and gatherings without an end."""
    if ranks.rank == int(who):
        threading.Timer(float(seconds), ENDS[how]).start()
    rng = np.random.default_rng(0)
    while True:
        if rng.random() < 0.2:
            ranks.gather(b"x" * rng.integers(1_000_000))
        x = np.zeros(rng.integers(200_000), rng.choice(["float32", "float64", "uint8"]))
        ranks.all_reduce(get_backend("numpy"), x)


def idle(ranks: Communicator) -> None:
    """Ranks that are busy elsewhere for longer than the time limit disturb nobody."""
    time.sleep(1.5)
    ranks.gather(0)


def forks(ranks: Communicator) -> None:
    """A process that a rank starts by forking itself ends as any other does, and is no rank."""
    pid = os.fork()
    if pid == 0:
        try:
            ranks.gather(0)
        except RankError as error:
            sys.exit(f"this process is not rank {ranks.rank}, but was forked from it" != str(error))
    assert os.waitpid(pid, 0)[1] == 0
    assert ranks.gather(1) == [1] * ranks.size


def meet(ranks: Communicator) -> None:
    """Nothing but to meet."""


SCENARIOS: dict[str, Callable[..., None]] = {
    each.__name__: each for each in (sums, compressed, end, struck, idle, forks, meet)
}


def be_a_rank(scenario: str, *arguments: str) -> None:
    """Take part in a scenario."""
    compress = "bfloat16" if scenario == "compressed" else None
    ranks = distributed.communicator(float(os.environ.get("TIMEOUT", "20")), compress)
    SCENARIOS[scenario](ranks, *arguments)


def fork(size: int, scenario: str, *arguments: str) -> list[Rank]:
    """Be so many ranks, and wait for their ends."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    began, children = time.monotonic(), {}
    for rank in range(size):
        said = TemporaryFile()  # noqa: SIM115
        pid = os.fork()
        if pid == 0:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            given = {"RANK": rank, "WORLD_SIZE": size, "MASTER_PORT": port}
            found = {name: os.environ.get(name, str(value)) for name, value in given.items()}
            os.environ.update(found, MASTER_ADDR="127.0.0.1")
            be_a_rank(scenario, *arguments)
            sys.exit()
        children[pid] = (rank, said)
    found = {}
    while children:
        pid, status = os.wait()
        rank, said = children.pop(pid)
        said.seek(0)
        code = os.waitstatus_to_exitcode(status)
        found[rank] = Rank(code, time.monotonic() - began, said.read().decode())
    return [found[rank] for rank in range(size)]


if __name__ == "__main__":
    signal.alarm(SECONDS)
    if sys.argv[1] == "rank":
        be_a_rank(*sys.argv[2:])
    else:
        print(json.dumps(fork(int(sys.argv[2]), *sys.argv[3:])))
