"""How the threads that carry out one kernel share its work, and wait for each other.

All members of a team call the kernel, each with a `team` array of its own as last argument:
its number, how many they are, and where they meet. A kernel does its member's part of the work.
One that adds up has each member write the sums of its tasks to an array that all share, then calls
`barrier`, and member 0 adds them in order. The number of tasks depends on the size alone, so that
the result has the same bits for every number of threads.
"""

from typing import Any

import numpy as np

from nnkit.kernels.numba.atomics import atomic_add, atomic_load, atomic_store, call, relax
from nnkit.kernels.numba.jit import helper
from nnkit.kernels.numba.tasks import chunk, share

ME, SIZE, MEETING, YIELD = 0, 1, 2, 3
"""Places in a team array: the member's number, the number of members, the address of two int64
for a barrier, and the address of a C function that gives the core away (0: there is none)."""

ALONE = np.array([0, 1, 0, 0], np.int64)
"""The team of a kernel that is called in one thread."""

PATIENCE = 1 << 8
"""How often a member looks before it offers its core to other threads: long enough for members that
have cores of their own (some 5 us on a Zen 4)."""


@helper
def my_range(n: int, team: Any) -> tuple[int, int]:
    """First and last (exclusive) of `n` things that this member does."""
    return share(n, team[SIZE], team[ME]), share(n, team[SIZE], team[ME] + 1)


@helper
def my_chunk(n: int, team: Any) -> tuple[int, int]:
    """Do as `my_range` for array elements: members do not write to one cache line."""
    return chunk(n, team[SIZE], team[ME]), chunk(n, team[SIZE], team[ME] + 1)


@helper
def meet(meeting: int, size: int, give_away: int) -> None:
    """Wait until `size` threads are here. `meeting` is the address of a count and a phase."""
    phase = atomic_load(meeting + 8)
    if atomic_add(meeting, 1) + 1 == size:
        atomic_store(meeting, 0)
        atomic_add(meeting + 8, 1)
        return
    looks = 0
    while atomic_load(meeting + 8) == phase:
        relax()
        looks += 1
        if looks > PATIENCE and give_away != 0:
            call(give_away)


@helper
def barrier(team: Any) -> None:
    """Wait until all members are here."""
    if team[SIZE] > 1:
        meet(team[MEETING], team[SIZE], team[YIELD])
