"""Locks that end with the process, however it ends, and leave no file behind."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

WINDOWS_LOCK = ".nnkit-lock"
"""Windows knows no lock on a folder: there it is a file that is removed when it is closed."""


@contextlib.contextmanager
def locked(handle: int) -> Iterator[bool]:
    """Hold the lock on an open file, if nobody else does; whether it is held.

    Where the file system has no locks, and on Windows, where an open file cannot be removed anyway,
    it counts as held.
    """
    yield fcntl is None or _lock(handle)
    # Closing the file releases it.


@contextlib.contextmanager
def folder(path: Path) -> Iterator[bool]:
    """Hold the lock on a folder inside a ``with`` block, if nobody else does; whether it is held.

    Where there are no locks it counts as held.
    """
    try:
        handle = _open_folder(path)
    except FileExistsError:
        yield False
        return
    try:
        yield fcntl is None or _lock(handle)
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _open_folder(path: Path) -> int:
    if fcntl is not None:
        return os.open(path, os.O_RDONLY)
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_TEMPORARY", 0)
    return os.open(path / WINDOWS_LOCK, flags)
