"""The compiled loops that carry out tapes: the caller's, and that of the threads that help it.

They are kept in the on-disk cache, run any network, and an instruction costs them about 7 ns.
README.md has the states that a member goes through.
"""

from typing import Any

from numba import types

from nnkit.kernels.numba.codegen.atomics import atomic_add, atomic_load, atomic_store, relax
from nnkit.kernels.numba.codegen.jit import inline, kernel
from nnkit.kernels.numba.codegen.thunks import invoke
from nnkit.kernels.numba.runtime.memory import (
    ASKED,
    DONE,
    FIELDS,
    INTS,
    LENGTH,
    ME,
    MEMBERS,
    PARKED,
    REALS,
    SHARERS,
    SIZE,
    TAPE,
    THUNK,
    TIMES,
    WANTED,
    YIELD,
)
from nnkit.kernels.numba.runtime.team import meet

PATIENCE = 1 << 13
"""How often a member looks for the next request before it parks: longer than what lies between two
kernels of a step that is not captured (200 us on a Zen 4; what a look takes differs)."""


@inline
def _take_part(tape: int, length: int, times: int, members: int, meeting: int, team: Any) -> None:
    """Do a member's part of all instructions. Members wait for each other where they share one."""
    me, address = team[ME], team.ctypes.data
    together = False
    for _ in range(times):
        for i in range(length):
            at = FIELDS * i
            size = min(members, atomic_load(tape, at + SHARERS))
            if size > 1 or together:
                meet(meeting, members, team[YIELD])
            together = size > 1
            if me < size:
                team[SIZE] = size
                thunk = atomic_load(tape, at + THUNK)
                ints, reals = atomic_load(tape, at + INTS), atomic_load(tape, at + REALS)
                invoke(thunk, ints, reals, address)
    if members > 1:
        meet(meeting, members, team[YIELD])


@kernel
def summon(requests: Any, members: int, asleep: Any) -> None:
    """Keep the other members from parking; tells which of them have, and must be woken."""
    for i in range(1, members):
        row = requests[i].ctypes.data
        atomic_store(row, WANTED, 1)
        asleep[i] = atomic_load(row, PARKED)


@kernel
def dismiss(requests: Any, members: int) -> None:
    """Let the other members park."""
    for i in range(1, members):
        atomic_store(requests[i].ctypes.data, WANTED, 0)


@kernel
def lead(
    instructions: Any, times: int, members: int, requests: Any, meeting: int, team: Any
) -> None:
    """Carry out a tape as member 0 of a team, the others being awake, or about to be."""
    tape, length = instructions.ctypes.data, len(instructions)
    for i in range(1, members):
        request = requests[i]
        request[TAPE], request[LENGTH], request[TIMES] = tape, length, times
        request[MEMBERS] = members
        atomic_add(request.ctypes.data, ASKED, 1)
    _take_part(tape, length, times, members, meeting, team)


@kernel
def serve(request: Any, meeting: int, team: Any) -> None:
    """Carry out what is asked for, until nothing is for a while."""
    row = request.ctypes.data
    atomic_store(row, PARKED, 0)
    looks = 0
    while True:
        if atomic_load(row, ASKED) != request[DONE]:
            request[DONE] += 1
            tape, length, times = request[TAPE], request[LENGTH], request[TIMES]
            _take_part(tape, length, times, request[MEMBERS], meeting, team)
            looks = 0
        elif looks < PATIENCE or atomic_load(row, WANTED) != 0:
            relax()
            looks += 1
        else:
            atomic_store(row, PARKED, 1)
            # Who wants this thread from now on sees that; who wanted it just before does not.
            if atomic_load(row, WANTED) == 0:
                return
            atomic_store(row, PARKED, 0)


_WHOLE, _ROW, _ROWS = types.int64, types.int64[::1], types.int64[:, ::1]
SIGNATURES = {
    "lead": (_ROWS, _WHOLE, _WHOLE, _ROWS, _WHOLE, _ROW),
    "summon": (_ROWS, _WHOLE, _ROW),
    "dismiss": (_ROWS, _WHOLE),
    "serve": (_ROW, _WHOLE, _ROW),
}
"""The types that each loop is compiled for, whatever the tape. One thread needs `lead` alone."""
