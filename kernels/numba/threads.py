"""The threads of the kernels: Python threads, as many as NNKIT_NUM_THREADS says, in compiled code.

They are the library's own, because a step of a small network is over sooner than a general pool has
woken one: while a tape runs they look for the next instruction without sleeping, and soon after it
they sleep. A process that forks gets new ones. If two Python threads use them at once, one of the
two works alone; the bits of the results are the same.
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

from nnkit.kernels.cores import usable_cores
from nnkit.kernels.numba import interpreter

VARIABLE = "NNKIT_NUM_THREADS"

_ROW = 16
_BETWEEN, _WITHIN, _FIRST_ROW = 0, 1, 2
"""Rows of the shared memory; see interpreter.py."""


def count() -> int:
    """How many threads to use: NNKIT_NUM_THREADS, else one for each core of this process.

    Raises ValueError if the variable is not a positive whole number.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return usable_cores()
    if not text.isdecimal() or int(text) == 0:
        raise ValueError(f"{VARIABLE}={text}: give a positive whole number of threads")
    return int(text)


def limit_blas() -> None:
    """Have NumPy's BLAS use no more threads than NNKIT_NUM_THREADS, if that is set."""
    if os.environ.get(VARIABLE, "").strip():
        from threadpoolctl import threadpool_limits

        threadpool_limits(count(), user_api="blas")


def carry_out(instructions: np.ndarray[Any, Any], times: int, members: int) -> None:
    """Carry out the instructions of a tape, `times` times, with so many threads."""
    team = _team(members)
    if team.busy.acquire(blocking=False):
        try:
            team.carry_out(instructions, times)
        finally:
            team.busy.release()
    else:
        _Team(1).carry_out(instructions, times)


class _Team:
    """The calling thread and others that sleep, or wait for it to carry out a tape together."""

    def __init__(self, size: int) -> None:
        self.busy = threading.Lock()
        self._size = size
        memory = np.zeros(_ROW * (_FIRST_ROW + 2 * size + 1), np.int64)
        start = -memory.ctypes.data % (8 * _ROW) // 8
        rows = memory[start : start + _ROW * (_FIRST_ROW + 2 * size)].reshape(-1, _ROW)
        self._meeting = rows[_BETWEEN].ctypes.data
        self._requests = rows[_FIRST_ROW : _FIRST_ROW + size]
        self._teams = rows[_FIRST_ROW + size :, :4]
        give_away = _address_of_yield()
        for i, team in enumerate(self._teams):
            team[:] = i, size, rows[_WITHIN].ctypes.data, give_away
        self._asleep = np.zeros(size, np.int64)
        self._wake = [threading.Semaphore(0) for _ in range(size)]
        self._requests[:, interpreter.PARKED] = 1
        self._closed = False
        self._threads = [
            threading.Thread(
                target=self._serve, args=(i,), name=f"nnkit-{i}-of-{size}", daemon=True
            )
            for i in range(1, size)
        ]
        for thread in self._threads:
            thread.start()
        atexit.register(self._close)

    def carry_out(self, instructions: np.ndarray[Any, Any], times: int) -> None:
        """Carry out a tape; one thread at a time may call this."""
        size, requests = self._size, self._requests
        try:
            interpreter.summon(requests, size, self._asleep)
            for i in np.flatnonzero(self._asleep):
                self._wake[i].release()
            interpreter.run(instructions, times, size, requests, self._meeting, self._teams[0])
        finally:
            interpreter.dismiss(requests, size)

    def _serve(self, i: int) -> None:
        while True:
            self._wake[i].acquire()
            if self._closed:
                return
            interpreter.serve(self._requests[i], self._meeting, self._teams[i])

    def _close(self) -> None:
        """End the threads: Python must not shut down while one is in compiled code."""
        self._closed = True
        for semaphore in self._wake:
            semaphore.release()
        for thread in self._threads:
            thread.join()


_team = cache(_Team)


@cache
def _address_of_yield() -> int:
    """Where the C function is that lets another thread have the core; 0 if it cannot be found."""
    library = ctypes.CDLL("kernel32" if sys.platform == "win32" else None)
    name = "SwitchToThread" if sys.platform == "win32" else "sched_yield"
    function = getattr(library, name, None)
    return ctypes.cast(function, ctypes.c_void_p).value or 0 if function else 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_team.cache_clear)
