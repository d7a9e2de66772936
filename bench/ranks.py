"""One process beside two ranks on the same cores: ``python -m bench.ranks``.

Each way of training starts anew in every turn: ranks that wait for theirs would look for messages
all the time, and take the cores from the others. They train the same network, with the same whole
batch; a ratio is that of two times in one round, and the table shows their median and range.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench import results
from bench.children import THREAD_VARIABLES, PeerError, start
from bench.machine import Busyness
from bench.networks import NAMED
from bench.summaries import show

NETWORKS = ("one-hidden", "large", "lenet", "resnet20")
SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
CORES = 2
PATIENCE = 300
"""Seconds after which a run that has not ended is given up."""
GENTLY = 10
"""Seconds that a run has to end by itself then."""
WAYS = {"1 thread": (1, 1, ""), "2 threads": (1, 2, ""), "2 ranks": (2, 1, "mpi")}
"""Processes, threads of each, and what carries their messages."""


def launch(
    arguments: Sequence[str],
    ranks: int,
    threads: int,
    engine: str,
    inside: Sequence[str] = (),
    address: str = "127.0.0.1",
) -> Any:
    """Run `bench.rank` as so many processes, and return what rank 0 has measured.

    `engine` is "mpi", or "sockets" for processes that find each other at an address; then `inside`
    are commands that run others elsewhere, one for each rank. Raises PeerError where one fails.
    """
    command = [sys.executable, "-m", "bench.rank", *arguments]
    if ranks == 1:
        commands = [[*command, "--alone"]]
    elif engine == "mpi":
        commands = [[mpiexec(), "-n", str(ranks), *command]]
    else:
        prefixes = [prefix.split() for prefix in inside] or [[]] * ranks
        commands = [[*prefix, *command] for prefix in prefixes]
    variables = dict.fromkeys(THREAD_VARIABLES, str(threads))
    sockets = engine == "sockets"
    places = environments(ranks, address) if sockets else [{}]
    running = [
        start(each, "cpu", ranks * threads, variables | place, stdout=subprocess.PIPE)
        for each, place in zip(commands, places, strict=True)
    ]
    return json.loads(answers(running)[0])


def mpiexec() -> str:
    """The mpiexec beside this Python, which belongs to its MPI, or that of the PATH."""
    beside = Path(sys.executable).with_name("mpiexec")
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    if found is None:
        raise PeerError("there is no mpiexec: pip install '.[mpi]'")
    return found


def environments(ranks: int, address: str) -> list[dict[str, str]]:
    """What a launcher tells each rank of its place."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": str(ranks), "MASTER_ADDR": address, "MASTER_PORT": str(port)}
    return [{"RANK": str(rank), **common} for rank in range(ranks)]


def answers(running: Sequence[subprocess.Popen[str]]) -> list[str]:
    """What processes print until they end; all are killed where one fails or takes too long."""
    try:
        printed = [process.communicate(timeout=PATIENCE)[0] for process in running]
    except subprocess.TimeoutExpired:
        raise PeerError(f"ranks have not ended after {PATIENCE} s") from None
    finally:
        for process in running:
            end(process)
    if any(process.returncode for process in running):
        raise PeerError(f"ranks ended with {[process.returncode for process in running]}")
    return printed


def end(process: subprocess.Popen[str]) -> None:
    """End a process that has not ended, gently at first: mpiexec then ends its ranks."""
    process.terminate()
    try:
        process.wait(GENTLY)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def train(networks: Sequence[str], rounds: int, backend: str) -> Iterator[dict[str, Any]]:
    """Train each network in all ways, in turn."""
    options = ("--backend", backend)
    for name in networks:
        turns: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
        for number in range(rounds):
            ways = list(WAYS.items())
            for way, how in ways[number % len(ways) :] + ways[: number % len(ways)]:
                turns[way].append(launch(("train", name, *options), *how))
        for way, found in turns.items():
            yield row(name, way, found, turns["1 thread"])


def row(
    name: str, way: str, found: Sequence[Mapping[str, float]], alone: Sequence[Mapping[str, float]]
) -> dict[str, Any]:
    """Put the rounds of one way together."""
    pairs = zip(alone, found, strict=True)
    speedups = [one["seconds"] / other["seconds"] for one, other in pairs]
    print(f"{name:12} {way:10} {median(speedups):.2f} times one thread", flush=True)
    return {
        "name": f"{name}, {way}",
        "network": name,
        "label": NAMED[name].label,
        "way": way,
        "seconds": median(each["seconds"] for each in found),
        "yardstick": median(each["seconds"] for each in alone),
        "speedups": speedups,
        "bytes": found[0]["bytes"],
        "sum": median(each["sum"] for each in found),
    }


def add(sizes: Sequence[int], rounds: int, backend: str, engine: str) -> Iterator[dict[str, Any]]:
    """Time the sum of two ranks' arrays, as they are and in 16 bits."""
    for kind, more in (("float32", ()), ("float16", ("--compress", "float16"))):
        arguments = ("add", *map(str, sizes), "--backend", backend, *more)
        found = [launch(arguments, 2, 1, engine) for _ in range(rounds)]
        for column in zip(*found, strict=True):
            size = column[0]["size"]
            yield {
                "name": f"{size} numbers, {kind}, {engine}",
                "size": size,
                "column": f"{kind}, {engine}",
                "seconds": median(each["seconds"] for each in column),
                "yardstick": None,
            }


def own_seconds() -> float:
    """Processor time of the runs that have ended."""
    spent = os.times()
    return spent.children_user + spent.children_system


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, record, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.ranks", description=__doc__)
    parser.add_argument("--networks", nargs="*", default=NETWORKS, choices=NAMED)
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--backend", default="numba", help="default: %(default)s")
    parser.add_argument("--output", type=Path, default=results.FOLDER)
    chosen = parser.parse_args(arguments)
    busy, before = Busyness(), own_seconds()
    rows = [
        *train(chosen.networks, chosen.rounds, chosen.backend),
        *add(SIZES, chosen.rounds, chosen.backend, "mpi"),
        *add(SIZES, chosen.rounds, chosen.backend, "sockets"),
    ]
    settings = {
        "threads": CORES,
        "backend": chosen.backend,
        "busy_elsewhere_cores": busy.elsewhere(own_seconds() - before),
    }
    record = results.make("ranks", rows, settings=settings)
    print(results.save(record, chosen.output), show(record), sep="\n")


if __name__ == "__main__":
    main()
