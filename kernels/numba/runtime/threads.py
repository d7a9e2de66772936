"""The threads of the kernels: Python threads, as many as NNKIT_NUM_THREADS says, in compiled code.

They are the library's own, because a step of a small network is over sooner than a general pool has
woken one: while a tape runs they look for the next instruction without sleeping, and soon after it
they sleep (README.md has their states). A process that forks gets new ones. If two Python threads
use them at once, one of the two works alone; the bits of the results are the same.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import threading
from functools import cache
from typing import Any

import numpy as np

from nnkit.kernels.cores import cores_of_rank
from nnkit.kernels.numba.runtime import interpreter
from nnkit.kernels.numba.runtime.memory import ALONE, PARKED, ROW, allocate

VARIABLE = "NNKIT_NUM_THREADS"
SHARE = "NUMBA_NUM_THREADS"
"""Where joblib writes how many threads each of its processes may use, for one."""
MOST = 1024
"""Threads: as many as the largest machines have, and fewer than a process may start anywhere."""


def count() -> int:
    """How many threads to use: NNKIT_NUM_THREADS, else one for each core of this process.

    Ranks that a launcher started side by side share the cores. No more than NUMBA_NUM_THREADS in
    the latter case: where several processes work side by side, all of them with all cores would be
    in each other's way. Raises ValueError if NNKIT_NUM_THREADS is no whole number from 1 to MOST.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        share = os.environ.get(SHARE, "").strip()
        most = int(share) if share.isdecimal() and int(share) else MOST
        return min(cores_of_rank(), most, MOST)
    if not text.isdecimal() or len(text) > 9 or not 1 <= int(text) <= MOST:
        raise ValueError(f"{VARIABLE}={text}: give a whole number of threads from 1 to {MOST}")
    return int(text)


def limit_blas() -> None:
    """Have NumPy's BLAS use no more threads than NNKIT_NUM_THREADS, if that is set."""
    if os.environ.get(VARIABLE, "").strip():
        from threadpoolctl import threadpool_limits

        threadpool_limits(count(), user_api="blas")


def carry_out(instructions: np.ndarray[Any, Any], times: int, members: int) -> None:
    """Carry out the instructions of a tape, `times` times, with so many threads."""
    busy = _shared.busy
    if members > 1 and busy.acquire(blocking=False):
        try:
            _shared.team_of(members).carry_out(instructions, times, members)
        finally:
            busy.release()
    else:
        interpreter.lead(instructions, times, 1, _NOBODY, 0, ALONE.copy())


class _Shared:
    """The team of this process, and who uses it."""

    busy: threading.Lock
    team: _Team | None

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew, as after a fork, which takes no threads along."""
        self.busy, self.team = threading.Lock(), None

    def team_of(self, members: int) -> _Team:
        """Return the team, a larger one if it has too few members."""
        if self.team is None or self.team.size < members:
            if self.team is not None:
                self.team.close()
            self.team = _Team(max(members, count()))
        return self.team

    def close(self) -> None:
        """End the threads: Python must not shut down while one is in compiled code.

        Who calls in afterwards works alone.
        """
        self.busy.acquire()
        if self.team is not None:
            self.team.close()


class _Team:
    """The calling thread and others that sleep, or wait for it to carry out a tape together."""

    def __init__(self, size: int) -> None:
        self.size = size
        memory = allocate(size, _address_of_yield())
        self._meeting = memory.between.ctypes.data
        self._requests, self._teams = memory.requests, memory.teams
        self._asleep = np.zeros(size, np.int64)
        self._wake = [threading.Semaphore(0) for _ in range(size)]
        interpreter.serve(self._requests[0], self._meeting, self._teams[0])  # compiles, and parks
        self._requests[:, PARKED] = 1
        self._closed = False
        self._threads = [
            threading.Thread(target=self._serve, args=(i,), name=f"nnkit-{i}", daemon=True)
            for i in range(1, size)
        ]
        for thread in self._threads:
            thread.start()

    def carry_out(self, instructions: np.ndarray[Any, Any], times: int, members: int) -> None:
        """Carry out a tape with the first members; one thread at a time may call this."""
        requests = self._requests
        try:
            interpreter.summon(requests, members, self._asleep)
            for i in range(1, members):
                if self._asleep[i]:
                    self._wake[i].release()
            interpreter.lead(instructions, times, members, requests, self._meeting, self._teams[0])
        finally:
            interpreter.dismiss(requests, members)

    def close(self) -> None:
        """End the threads, which must have nothing to do."""
        self._closed = True
        interpreter.dismiss(self._requests, self.size)
        for semaphore in self._wake:
            semaphore.release()
        for thread in self._threads:
            thread.join()

    def _serve(self, i: int) -> None:
        while True:
            self._wake[i].acquire()
            if self._closed:
                return
            interpreter.serve(self._requests[i], self._meeting, self._teams[i])


@cache
def _address_of_yield() -> int:
    """Where the C function is that lets another thread have the core; 0 if it cannot be found."""
    library = ctypes.CDLL("kernel32" if sys.platform == "win32" else None)
    name = "SwitchToThread" if sys.platform == "win32" else "sched_yield"
    function = getattr(library, name, None)
    return ctypes.cast(function, ctypes.c_void_p).value or 0 if function else 0


_NOBODY = np.zeros((1, ROW), np.int64)
_shared = _Shared()
atexit.register(_shared.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_shared.forget)
