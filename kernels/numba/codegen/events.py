"""Compilation, as Numba tells of it: passed on to who listens in the thread that compiles."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from numba.core import event

from nnkit.kernels import compiling


class _Thread(threading.local):
    """How many kernels a thread is compiling, one for the other."""

    kernels = 0


class _Passer(event.Listener):  # type: ignore[misc]
    """Passes on what concerns kernels: themselves, and the functions that become parts of them."""

    def __init__(self, is_kernel: Callable[[Any], bool]) -> None:
        self._is_kernel = is_kernel
        self._thread = _Thread()

    def on_start(self, event: Any) -> None:
        """Tell that a kernel, or a part of one, is begun."""
        self._thread.kernels += self._is_kernel(event.data["dispatcher"])
        listener = compiling.listener()
        if listener is not None and self._thread.kernels:
            listener.begin()

    def on_end(self, event: Any) -> None:
        """Tell that a kernel is done."""
        if not self._is_kernel(event.data["dispatcher"]):
            return
        self._thread.kernels -= 1
        listener = compiling.listener()
        if listener is not None:
            listener.end()


def pass_on(is_kernel: Callable[[Any], bool]) -> None:
    """Tell of the compilation of what are kernels from now on."""
    event.register("numba:compile", _Passer(is_kernel))
