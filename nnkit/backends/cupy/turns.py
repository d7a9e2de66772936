"""Streams take turns, because the kernels share scratch memory."""

from __future__ import annotations

from threading import RLock
from typing import Any


class Turns:
    """One stream after the other: each first waits, on the device, for the work of the one before.

    ``with turns.lock: turns.take()``, and then, still inside, the work is issued.
    """

    def __init__(self, cupy: Any) -> None:
        self.lock = RLock()  # also for a signal's handler that comes in between
        self._current_stream = cupy.cuda.get_current_stream
        self._stream = cupy.cuda.get_current_stream()

    def take(self) -> None:
        """Have the current stream wait for all that was issued to another.

        A stream that captures waits for nothing outside of its graph: launching that takes a turn.
        """
        stream = self._current_stream()
        if stream.ptr != self._stream.ptr and not stream.is_capturing():
            stream.wait_event(self._stream.record())
            self._stream = stream
