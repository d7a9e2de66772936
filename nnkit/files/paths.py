"""Paths as people write them, and files that can be read without waiting."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from os import PathLike
from pathlib import Path
from typing import BinaryIO


def expand(path: str | bytes | PathLike[str] | PathLike[bytes]) -> Path:
    """Make a `Path` of what a user gave, with ``~`` as the home folder.

    That of a user whom there is not stays as it is, where `Path.expanduser` would raise.
    """
    return Path(os.path.expanduser(os.fsdecode(path)))  # noqa: PTH111


def open_file(path: Path) -> BinaryIO:
    """Open an ordinary file for reading.

    A pipe, a socket or a device is refused without waiting for it. The opened file itself is
    looked at, so that nothing can take its place in between.

    Raises
    ------
    OSError
        If there is no such file, it may not be read, or it is no ordinary one.
    """
    file = open(path, "rb", opener=_open_without_waiting)  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "is not an ordinary file", str(path))
    return file


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def short_name(name: str) -> str:
    """Return a file's name, or where that leaves no room for ten characters more its hash."""
    encoded = os.fsencode(name)
    return name if len(encoded) <= 245 else hashlib.sha256(encoded).hexdigest()[:32]
