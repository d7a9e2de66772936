"""How ranks find each other: rank 0 listens, the others call it, and all learn of all."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

from nnkit.distributed.channel import Channel
from nnkit.distributed.contract import RankError
from nnkit.distributed.door import Door, call
from nnkit.distributed.ending import Process, this_process
from nnkit.distributed.launch import Launch

SECRET = "NNKIT_SECRET"
"""What ranks without MPI know besides what their launcher tells them all."""


class Met(NamedTuple):
    """What a rank has after the meeting."""

    channels: dict[int, Channel]
    """To rank 0, or from there to all others."""
    processes: list[Process]
    sums: dict[int, socket.socket]
    """Connections to all others, if they were asked for."""


def token_of(launch: Launch, environment: Mapping[str, str] = os.environ) -> bytes:
    """Return what proves that a process is of this run, where there is no MPI to agree on it.

    From NNKIT_SECRET, and what a launcher tells all ranks: TORCHELASTIC_RUN_ID or SLURM_JOB_ID, the
    port, the size. Whoever may guess all that should be kept out by the secret, or the network.
    """
    names = (SECRET, "TORCHELASTIC_RUN_ID", "SLURM_JOB_ID")
    known = [environment.get(name, "") for name in names]
    return hashlib.sha256(repr([*known, launch.port, launch.size]).encode()).digest()


def own_addresses() -> list[str]:
    """Addresses under which others may reach this machine, its name's first."""
    name = socket.gethostname()
    found = [name]
    with suppress(OSError):
        found += [str(place[4][0]) for place in socket.getaddrinfo(name, None, socket.AF_INET)]
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way_out:
        way_out.connect(("192.0.2.1", 9))  # sends nothing, and asks which address it would use
        found.append(way_out.getsockname()[0])
    return [*dict.fromkeys(found), "127.0.0.1"]


def open_door(launch: Launch, token: bytes) -> Door:
    """Listen where the launch says; OSError that names the remedy."""
    try:
        return Door(launch.address, launch.port, token)
    except OSError as error:
        number = None if isinstance(error, socket.gaierror) else error.errno
        why = os.strerror(number) if number else error.strerror or error
        raise OSError(
            f"rank 0 cannot listen at MASTER_ADDR={launch.address}, MASTER_PORT={launch.port} "
            f"({why}): MASTER_ADDR must be an address of the machine where rank 0 runs, "
            "MASTER_PORT a port that no other program uses"
        ) from error


def receive_others(door: Door, size: int, timeout: float, with_sums: bool) -> Met:
    """Rank 0's part of the meeting."""
    deadline = time.monotonic() + timeout
    try:
        came = door.wait_for("watch", range(1, size), deadline)
        channels = {rank: Channel(connection, timeout) for rank, connection in came.items()}
        told = {rank: channel.receive() for rank, channel in sorted(channels.items())}
        processes = [this_process(), *(process for process, _ in told.values())]
        for channel in channels.values():
            channel.send(processes, {rank: place for rank, (_, place) in told.items()})
        sums = door.wait_for("sum", range(1, size), deadline) if with_sums else {}
    except TimeoutError as error:
        raise TimeoutError(
            f"of {size} ranks, these did not come to rank 0 within {timeout:g} s: {error}"
        ) from None
    except ValueError as error:
        raise ValueError(
            f"{error}: each must have a RANK of its own, from 0 to {size - 1}"
        ) from None
    return Met(channels, processes, sums)


def join(
    rank: int,
    places: Iterable[tuple[str, int]],
    token: bytes,
    size: int,
    timeout: float,
    with_sums: bool,
) -> Met:
    """Take part in the meeting as another rank, which finds rank 0 at one of the places."""
    deadline = time.monotonic() + timeout
    places = list(places)
    try:
        connection = call(places, token, "watch", rank, deadline)
    except TimeoutError as error:
        raise TimeoutError(
            f"rank {rank} did not reach rank 0 within {timeout:g} s ({error}): MASTER_ADDR and "
            "MASTER_PORT must be those of rank 0, and the same on all ranks, as WORLD_SIZE"
        ) from None
    here, at_zero = connection.getsockname()[0], connection.getpeername()[:2]
    door = Door(here, 0, token) if with_sums else None
    channel = Channel(connection, timeout)
    try:
        channel.send(this_process(), (here, door.port if door else 0))
        processes, others = channel.receive()
    except (EOFError, OSError):
        raise RankError(
            f"rank 0 of {size} ended before all ranks had met: its own error says why"
        ) from None
    sums = {}
    if door is not None:
        try:
            sums = {r: call([others[r]], token, "sum", rank, deadline) for r in range(1, rank)}
            sums[0] = call([at_zero], token, "sum", rank, deadline)
            sums |= door.wait_for("sum", range(rank + 1, size), deadline)
        except TimeoutError as error:
            raise TimeoutError(
                f"rank {rank} did not meet the other ranks within {timeout:g} s ({error}): each "
                "connects to every other, at any port, which no firewall may refuse"
            ) from None
        door.close()
    return Met({0: channel}, processes, sums)
