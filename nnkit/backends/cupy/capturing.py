"""What becomes of arrays while a step is captured: they are kept, copied to be kept, or refused.

A graph holds addresses. It keeps the arrays that operations are given. Inputs that are made
contiguous it has in memory of its own. Whatever else a step allocates is refused (see graphs.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from nnkit.backends.contract import Array
from nnkit.backends.cupy.graphs import Capture


class _Thread(threading.local):
    """What a thread is capturing, if it is."""

    capture: Capture | None = None


class Capturing:
    """The captures of a backend, one for each thread that is at it."""

    def __init__(self, cupy: Any) -> None:
        self._cupy = cupy
        self._thread = _Thread()

    @property
    def now(self) -> Capture | None:
        """What this thread is capturing, if it is."""
        return self._thread.capture

    def record(self, step: Callable[[], object]) -> Capture:
        """Capture a step that has run before; raises CaptureError."""
        capture = self._thread.capture = Capture(self._cupy)
        try:
            capture.record(step)
        finally:
            self._thread.capture = None
        return capture

    def keep(self, arrays: Iterable[Array]) -> None:
        """Have a graph that is being captured keep the arrays that it holds the addresses of."""
        capture = self.now
        if capture is not None:
            capture.keep(arrays)

    def dense(self, array: Array) -> Array:
        """Make an input C-contiguous, in memory of the graph's where one is being captured."""
        if array.flags.c_contiguous:
            return array
        capture = self.now
        return self._cupy.ascontiguousarray(array) if capture is None else capture.copy(array)
