"""The compiled loops that carry out tapes: the caller's, and that of the threads that help it.

Memory that threads share is an array of int64 with a row of 16, two cache lines, for each thing:
so that none shares a line with another. Row 0 is where members meet between instructions, row 1
where those meet who carry one out together, and each member has a row for its team array (see
team.py) and one for what it is asked to do.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from nnkit.kernels.numba.atomics import (
    atomic_add,
    atomic_load,
    atomic_store,
    relax,
)
from nnkit.kernels.numba.jit import helper, kernel
from nnkit.kernels.numba.team import ME, SIZE, YIELD, meet

ASKED, DONE, WANTED, PARKED, TAPE, LENGTH, TIMES, MEMBERS = range(8)
"""Places in a row of requests: how many were made and carried out, whether another one is about to
be made, whether the member has given up looking for it, and what the last one is."""

PATIENCE = 1 << 13
"""How often a member looks for the next request before it parks: longer than what lies between two
kernels of a step that is not captured (200 us on a Zen 4; what a look takes differs)."""

FIELDS = 4
"""Numbers of an instruction."""


@intrinsic
def _invoke(_context: Any, thunk: Any, ints: Any, reals: Any, team: Any) -> Any:
    """Call the thunk at an address."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        i64, real = ir.IntType(64).as_pointer(), ir.DoubleType().as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [i64, real, i64])
        function, *slots = (
            builder.inttoptr(a, k)
            for a, k in zip(arguments, [kind.as_pointer(), *kind.args], strict=True)
        )
        builder.call(function, slots)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), generate


@helper
def _run(tape: int, length: int, times: int, members: int, meeting: int, team: Any) -> None:
    """Do a member's part of all instructions. Members wait for each other where they share one."""
    me, address = team[ME], team.ctypes.data
    together = False
    for _ in range(times):
        for i in range(length):
            at = tape + 8 * FIELDS * i
            size = min(members, atomic_load(at + 24))
            if size > 1 or together:
                meet(meeting, members, team[YIELD])
            together = size > 1
            if me < size:
                team[SIZE] = size
                _invoke(atomic_load(at), atomic_load(at + 8), atomic_load(at + 16), address)
    if members > 1:
        meet(meeting, members, team[YIELD])


@kernel
def summon(requests: Any, members: int, asleep: Any) -> None:
    """Keep the other members from parking; tells which of them have, and must be woken."""
    for i in range(1, members):
        row = requests[i].ctypes.data
        atomic_store(row + 8 * WANTED, 1)
        asleep[i] = atomic_load(row + 8 * PARKED)


@kernel
def dismiss(requests: Any, members: int) -> None:
    """Let the other members park."""
    for i in range(1, members):
        atomic_store(requests[i].ctypes.data + 8 * WANTED, 0)


@kernel
def run(
    instructions: Any, times: int, members: int, requests: Any, meeting: int, team: Any
) -> None:
    """Carry out a tape as member 0 of a team, the others being awake, or about to be."""
    tape, length = instructions.ctypes.data, len(instructions)
    for i in range(1, members):
        request = requests[i]
        request[TAPE], request[LENGTH], request[TIMES] = tape, length, times
        request[MEMBERS] = members
        atomic_add(request.ctypes.data + 8 * ASKED, 1)
    _run(tape, length, times, members, meeting, team)


@kernel
def serve(request: Any, meeting: int, team: Any) -> None:
    """Carry out what is asked for, until nothing is for a while."""
    row = request.ctypes.data
    atomic_store(row + 8 * PARKED, 0)
    looks = 0
    while True:
        if atomic_load(row + 8 * ASKED) != request[DONE]:
            request[DONE] += 1
            tape, length, times = request[TAPE], request[LENGTH], request[TIMES]
            _run(tape, length, times, request[MEMBERS], meeting, team)
            looks = 0
        elif looks < PATIENCE or atomic_load(row + 8 * WANTED) != 0:
            relax()
            looks += 1
        else:
            atomic_store(row + 8 * PARKED, 1)
            # Who wants this thread from now on sees that; who wanted it just before does not.
            if atomic_load(row + 8 * WANTED) == 0:
                return
            atomic_store(row + 8 * PARKED, 0)
