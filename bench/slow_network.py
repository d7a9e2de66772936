"""Two ranks with a slow line between them: what the model predicts, and what is measured.

``sudo -E python -m bench.slow_network`` makes two network namespaces, each with a device whose
packets this process carries to the other one: so many bits a second, and a while later. (Linux's
netem does the same, where the kernel has it.) It needs root, `ip`, and /dev/net/tun, on Linux. What
is made is gone when it ends. The ranks find each other by MASTER_ADDR, as on two machines.
"""

from __future__ import annotations

import argparse
import heapq
import os
import select
import struct
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

from bench.efficiency import Link, ring
from bench.networks import NAMED
from bench.ranks import launch
from bench.tables import markdown

SPACES = ("nnkit-rank-0", "nnkit-rank-1")
ADDRESSES = ("10.77.0.1", "10.77.0.2")
MTU = 30_000
"""Bytes of a packet: so large that carrying them takes little of the ranks' time."""
LINES = ((0.1, 1000.0), (1.0, 1000.0), (1.0, 100.0), (10.0, 1000.0))
"""Milliseconds in each direction, and megabits a second."""
SIZES = (1_000, 100_000, 1_000_000)
STEPS = "8"
"""Of an epoch that is timed; there are five of these or more, and a step may take a second."""
Sums = dict[int, float]
Steps = dict[str, dict[str, float]]
TUN_SET_DEVICE, TUN, NO_HEADER = 0x400454CA, 0x0001, 0x1000
"""TUNSETIFF, IFF_TUN and IFF_NO_PI of linux/if_tun.h."""


@contextmanager
def line(delay: float, rate: float) -> Iterator[list[str]]:
    """Make two namespaces with a line between them; gives the commands that run others inside.

    `delay` is in seconds, `rate` in bytes a second, in each direction.
    """
    ends: list[int] = []
    done = threading.Event()
    carrier = threading.Thread(target=carry, args=(ends, delay, rate, done))
    try:
        for space, address in zip(SPACES, ADDRESSES, strict=True):
            ends.append(device(space, address))
        carrier.start()
        yield [f"ip netns exec {space}" for space in SPACES]
    finally:
        done.set()
        if carrier.ident is not None:
            carrier.join()
        for end in ends:
            os.close(end)
        for space in SPACES:
            subprocess.run(["ip", "netns", "del", space], check=False, stderr=subprocess.DEVNULL)


def device(space: str, address: str) -> int:
    """Make a namespace with a device of an address in it; what is sent there can be read here."""
    import fcntl  # which Windows does not have, where this file can be read all the same

    end = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(end, TUN_SET_DEVICE, struct.pack("16sH22x", space.encode(), TUN | NO_HEADER))
    for command in (
        f"netns add {space}",
        f"link set {space} netns {space}",
        f"-n {space} addr add {address}/24 dev {space}",
        f"-n {space} link set {space} mtu {MTU} up",
        f"-n {space} link set lo up",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    return end


def carry(ends: Sequence[int], delay: float, rate: float, done: threading.Event) -> None:
    """Carry packets from each end to the other: one after the other, and each a while later."""
    others = dict(zip(ends, reversed(ends), strict=True))
    free = dict.fromkeys(ends, 0.0)
    waiting: list[tuple[float, int, int, bytes]] = []
    numbers = count()
    while not done.is_set():
        pause = waiting[0][0] - time.perf_counter() if waiting else 0.1
        for end in select.select(ends, (), (), max(0.0, pause))[0]:
            packet = os.read(end, 1 << 16)
            free[end] = max(free[end], time.perf_counter()) + len(packet) / rate
            heapq.heappush(waiting, (free[end] + delay, next(numbers), others[end], packet))
        while waiting and waiting[0][0] <= time.perf_counter():
            _, _, end, packet = heapq.heappop(waiting)
            os.write(end, packet)


def measured(networks: Sequence[str], inside: Sequence[str] = ()) -> tuple[Sums, Steps]:
    """Seconds for a sum of so many numbers, and what `bench.rank` says of training a network."""
    address = ADDRESSES[0] if inside else "127.0.0.1"

    def ranks(*arguments: str) -> Any:
        return launch(arguments, 2, 1, "sockets", inside, address)

    sums = {each["size"]: each["seconds"] for each in ranks("add", *map(str, SIZES))}
    return sums, {name: ranks("train", name, "--steps", STEPS) for name in networks}


def rows(networks: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Measure and predict, line by line."""
    here = measured(networks)[1]
    with line(0.0, 1e10) as inside:
        own = measured((), inside)[0][SIZES[0]] / 2  # what carrying takes, and two processes
    for delay, megabits in LINES:
        with line(delay / 1e3, megabits * 1e6 / 8) as inside:
            sums, steps = measured(networks, inside)
        link = Link(megabits * 1e6 / 8, delay / 1e3 + own)
        where = f"{delay:g} ms, {megabits:,.0f} Mbit/s"
        for size, seconds in sums.items():
            yield row(where, f"sum of {size:,} numbers", ring(2, 4 * size, link), seconds)
        for name, step in steps.items():
            alone = here[name]["seconds"] - here[name]["sum"]
            predicted = alone + ring(2, step["bytes"], link)
            yield row(where, f"step of {NAMED[name].label}", predicted, step["seconds"])


def row(where: str, what: str, predicted: float, seconds: float) -> tuple[str, ...]:
    """A row of the table, in milliseconds."""
    found = (where, what, f"{predicted * 1e3:,.2f}", f"{seconds * 1e3:,.2f}")
    print(*found, sep="  ", flush=True)
    return (*found, f"{seconds / predicted:.2f}")


def main() -> None:
    """Print a table, as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m bench.slow_network", description=__doc__)
    parser.add_argument("--networks", nargs="*", default=("large", "lenet"), choices=NAMED)
    found = list(rows(parser.parse_args().networks))
    print(markdown(("line", "what", "predicted, ms", "measured, ms", "ratio"), found, 2))


if __name__ == "__main__":
    main()
