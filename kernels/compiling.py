"""Who is told that kernels are being compiled, which takes seconds the first time on a machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Listener(Protocol):
    """What is told of compilation; it is called in the thread that compiles."""

    def begin(self) -> None:
        """Compilation of a kernel has begun, or goes on with a part of it."""

    def end(self) -> None:
        """A kernel has been compiled, or could not be."""


class _Thread(threading.local):
    """Who listens in a thread."""

    listener: Listener | None = None


_thread = _Thread()


def listener() -> Listener | None:
    """Return what is told of the compilation in this thread, if anything is."""
    return _thread.listener


@contextmanager
def told(listener: Listener) -> Iterator[None]:
    """Tell `listener` of what is compiled inside a ``with`` block, in this thread."""
    before, _thread.listener = _thread.listener, listener
    try:
        yield
    finally:
        _thread.listener = before
