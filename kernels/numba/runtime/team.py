"""How the threads that carry out one kernel share its work, and wait for each other.

All members of a team call the kernel, each with a team array of its own (see memory.py) as last
argument. A kernel does its member's part of the work. One that adds up has each member write the
sums of its tasks to an array that all share, then calls `barrier`, and member 0 adds them in order.
The number of tasks depends on the size alone, so that the result has the same bits for every number
of threads.
"""

from typing import Any

from nnkit.kernels.numba.codegen.atomics import atomic_add, atomic_load, atomic_store, call, relax
from nnkit.kernels.numba.codegen.jit import inline
from nnkit.kernels.numba.runtime.memory import ARRIVED, ME, MEETING, PHASE, SIZE, YIELD
from nnkit.kernels.numba.runtime.tasks import chunk, share

PATIENCE = 1 << 8
"""How often a member looks before it offers its core to other threads: long enough for members that
have cores of their own (some 5 us on a Zen 4)."""


@inline
def my_range(n: int, team: Any) -> tuple[int, int]:
    """First and last (exclusive) of `n` things that this member does."""
    return share(n, team[SIZE], team[ME]), share(n, team[SIZE], team[ME] + 1)


@inline
def my_chunk(n: int, team: Any) -> tuple[int, int]:
    """Do as `my_range` for array elements: members do not write to one cache line."""
    return chunk(n, team[SIZE], team[ME]), chunk(n, team[SIZE], team[ME] + 1)


@inline
def meet(meeting: int, size: int, give_away: int) -> None:
    """Wait until `size` threads are here, at the address of a meeting."""
    phase = atomic_load(meeting, PHASE)
    if atomic_add(meeting, ARRIVED, 1) + 1 == size:
        atomic_store(meeting, ARRIVED, 0)
        atomic_add(meeting, PHASE, 1)
        return
    looks = 0
    while atomic_load(meeting, PHASE) == phase:
        relax()
        looks += 1
        if looks > PATIENCE and give_away != 0:
            call(give_away)


@inline
def barrier(team: Any) -> None:
    """Wait until all members are here."""
    if team[SIZE] > 1:
        meet(team[MEETING], team[SIZE], team[YIELD])
