"""A captured training step: a tape of kernel calls, replayed by one compiled interpreter.

An instruction is a compiled kernel, the arguments of one call, and how many threads share it: see
memory.py. Nothing is compiled for a network but its kernels, which serve any other.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from nnkit.kernels.numba.codegen.thunks import find_thunk, pack
from nnkit.kernels.numba.runtime import threads
from nnkit.kernels.numba.runtime.memory import ALONE, FIELDS
from nnkit.kernels.numba.runtime.pace import Pace

WORTH_A_TEAM = 16
"""Grains that the largest kernel of a tape needs for a team to be faster than one thread. Waking it
takes up to 50 us, and what one core has written another must fetch from the third-level cache."""


class Tape:
    """Kernel calls to be repeated. It keeps the arrays alive whose addresses it holds."""

    def __init__(self) -> None:
        self._instructions: list[tuple[int, int, int, int]] = []
        self._kept: list[Any] = []
        self._compiled: np.ndarray[Any, Any] | None = None
        self._team = 1

    def __len__(self) -> int:
        return len(self._instructions)

    def append(self, function: Any, arguments: tuple[Any, ...], members: int, grains: int) -> None:
        """Add a call of a compiled kernel, by a team if one carries out the tape.

        Arrays must be C-contiguous (ValueError). `grains` tells how much work it is.
        """
        if not dense(arguments):
            raise ValueError("a kernel on a tape takes C-contiguous arrays")
        slots = pack(arguments)
        thunk = find_thunk(function, arguments, ALONE)
        self._instructions.append((thunk, slots[0].ctypes.data, slots[1].ctypes.data, members))
        self._kept += [arguments, slots]
        if grains >= WORTH_A_TEAM:
            self._team = max(self._team, members)
        self._compiled = None

    def replay(self, times: int) -> None:
        """Carry out all instructions in order, `times` times, without the interpreter lock."""
        if self._compiled is None:
            self._compiled = np.array(self._instructions, np.int64).reshape(-1, FIELDS)
            self._pace = Pace(self._team)
        while times:
            members, now = self._pace.choose(times)
            start = time.perf_counter()
            threads.carry_out(self._compiled, now, members)
            self._pace.note(members, now, time.perf_counter() - start)
            times -= now


def dense(arguments: tuple[Any, ...]) -> bool:
    """Whether all arrays among the arguments are C-contiguous."""
    return all(a.flags.c_contiguous for a in arguments if isinstance(a, np.ndarray))
