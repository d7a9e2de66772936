"""The numbers that threads and compiled code share, all int64, and the place of each.

A place is an index: compiled code reads ``requests[i][ASKED]`` as ``atomic_load(row, ASKED)``, with
the address of the row.
"""

from typing import Any, NamedTuple

import numpy as np

THUNK, INTS, REALS, SHARERS = 0, 1, 2, 3
"""An instruction: the addresses of a thunk and of its two lists of arguments (see
``codegen/thunks.py``), and how many members share the work, if there are as many."""
FIELDS = 4
"""Numbers of an instruction."""

ME, SIZE, MEETING, YIELD = 0, 1, 2, 3
"""A team array: the member's number, the number of members, the address of the meeting within a
kernel, and the address of a C function that gives the core away (0: there is none)."""

ALONE = np.array([0, 1, 0, 0], np.int64)
"""The team of a kernel that is called in one thread."""

ARRIVED, PHASE = 0, 1
"""A meeting: how many members are there, and how often all of them have been."""

ASKED, DONE, WANTED, PARKED, TAPE, LENGTH, TIMES, MEMBERS = range(8)
"""A member's requests: how many were made and carried out, whether another one is about to be made,
whether the member has given up looking for it, and what the last one is: the address of the first
instruction, the number of them, how often they are carried out, and by how many members."""

ROW = 16
"""Numbers in a row: two cache lines, so that no two rows share one."""


class Memory(NamedTuple):
    """What a team shares, each thing in a row of its own."""

    between: Any
    """Where members meet between instructions."""
    within: Any
    """Where those meet who carry one out together."""
    requests: Any
    """What each member is asked to do."""
    teams: Any
    """Each member's team array."""


def allocate(size: int, give_away: int) -> Memory:
    """Make the memory of so many members; `give_away` is the address for YIELD."""
    rows = 2 + 2 * size
    memory = np.zeros(ROW * (rows + 1), np.int64)
    start = -memory.ctypes.data % (memory.itemsize * ROW) // memory.itemsize
    between, within, *_ = table = memory[start : start + ROW * rows].reshape(rows, ROW)
    requests, teams = table[2 : 2 + size], table[2 + size :, : ALONE.size]
    teams[:, ME] = np.arange(size)
    teams[:, [SIZE, MEETING, YIELD]] = size, within.ctypes.data, give_away
    return Memory(between, within, requests, teams)
