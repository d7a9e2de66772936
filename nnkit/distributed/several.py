"""The communicator of a process that is one of several: they meet, share the machine, and watch."""

from __future__ import annotations

import atexit
import os
import secrets
import sys
from collections.abc import Callable
from typing import Any

from nnkit.distributed import ending, launch, mpi, nccl
from nnkit.distributed.contract import Communicator
from nnkit.distributed.cores import share_cores
from nnkit.distributed.meeting import (
    Met,
    join,
    open_door,
    own_addresses,
    receive_others,
    token_of,
)
from nnkit.distributed.ranks import HostSum, Ranks
from nnkit.distributed.sockets import SocketSum
from nnkit.distributed.watch import Watch


def meet(found: launch.Launch, timeout: float, compress: str | None) -> Communicator:
    """Meet by MPI, or where MASTER_ADDR says."""
    module, finalize = mpi.load(found.size) if found.by == "mpi" else (None, False)
    world = module.COMM_WORLD if module else None
    rank = world.rank if world else found.rank
    met = _meet_by_mpi(world, timeout) if world else _meet_by_sockets(found, timeout)
    local = _local(rank, found, met)
    nccl.choose_gpu(*local)
    share_cores(local[1])
    abort: Callable[[], Any] = (lambda: world.Abort(1)) if world else (lambda: None)

    def failed(why: str, silent: int | None) -> None:
        stopped = None if silent is None else met.processes[silent]
        ending.end_unless(lambda: watch.told, why, stopped, abort)

    watch = Watch(rank, found.size, met.channels, timeout, failed)
    host: HostSum = mpi.MpiSum(module, watch) if module else SocketSum(met.sums, watch)
    ranks = Ranks(watch, host, local, compress)
    ending.on_exception(ranks.fail)
    atexit.register(_close, watch, host, module, finalize)
    return ranks


def _meet_by_mpi(world: Any, timeout: float) -> Met:
    door = (
        open_door(launch.Launch("mpi"), token := secrets.token_bytes(32))
        if not world.rank
        else None
    )
    told = world.bcast((own_addresses(), door.port, token) if door else None)
    if door is None:
        addresses, port, token = told
        places = [(address, port) for address in addresses]
        return join(world.rank, places, token, world.size, timeout, False)
    met = receive_others(door, world.size, timeout, False)
    door.close()
    return met


def _meet_by_sockets(found: launch.Launch, timeout: float) -> Met:
    token = token_of(found)
    if found.rank:
        places = [(found.address, found.port)]
        return join(found.rank, places, token, found.size, timeout, True)
    door = open_door(found, token)
    met = receive_others(door, found.size, timeout, True)
    door.close()
    return met


def _local(rank: int, found: launch.Launch, met: Met) -> tuple[int, int]:
    """Return the rank's number on its machine, and how many are there."""
    machines = [process.machine for process in met.processes]
    number, count = machines[:rank].count(machines[rank]), machines.count(machines[rank])
    return (
        number if found.local_rank is None else found.local_rank,
        count if found.local_size is None else found.local_size,
    )


def _close(watch: Watch, host: HostSum, module: Any, finalize: bool) -> None:
    """End this process's part in the run, when Python ends."""
    failed = watch.failure is not None
    watch.close(ending.GRACE if failed else None)
    host.close()
    if module is None or module.Is_finalized():
        return
    if not failed and finalize:
        module.Finalize()
    if failed and not finalize:  # who imported mpi4py has it finalize, which would wait for ever
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)
