"""Copies from the host that go on while the GPU computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from nnkit.backends.contract import Array
from nnkit.backends.cupy.turns import Turns

DATA_SHARE = 0.6
"""Share of the free memory that a data set may take; parameters and activations need some too."""
MOST_COPIES = 2
"""Blocks of pinned memory that are being copied: one more waits until the first is free again."""


class HostCopies:
    """Copies on a stream of their own, out of pinned memory."""

    def __init__(self, cupy: Any, empty_pinned: Callable[..., Any], turns: Turns) -> None:
        self._cuda, self._turns = cupy.cuda, turns
        self.empty_pinned = empty_pinned
        self._stream: Any = None
        self._going_on: deque[tuple[Any, Any]] = deque()
        """Copies that may go on, as their events, with the memory that they read and write."""

    def start(self, host: np.ndarray[Any, Any], out: Array) -> Any:
        """Copy to `out` once the work issued so far is done; returns the event of the end."""
        if self._stream is None:
            self._stream = self._cuda.Stream(non_blocking=True)
        self.forget(MOST_COPIES - 1)
        pinned = self.empty_pinned(host.shape, host.dtype)
        pinned[...] = host
        with self._turns.lock:
            self._turns.take()
        self._stream.wait_event(self._cuda.get_current_stream().record())
        out.set(pinned, stream=self._stream)
        copy = self._stream.record()
        self._going_on.append((copy, (pinned, out)))
        return copy

    def forget(self, most: int = MOST_COPIES) -> None:
        """Let go of the memory of copies that are done, and wait until at most so many are left.

        CuPy keeps neither side of a copy: its pools would hand the memory out again at once.
        """
        while True:
            with self._turns.lock:
                going_on = self._going_on
                if not going_on or (len(going_on) <= most and not going_on[0][0].done):
                    return
                copy, memory = going_on.popleft()
            copy.synchronize()
            del memory
