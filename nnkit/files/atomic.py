"""Replacing a file in one step: a reader, or a crash, meets the old one or the new one, whole."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from nnkit.files.locking import locked
from nnkit.files.paths import expand, short_name
from nnkit.files.renaming import rename


def replace(path: str | PathLike[str], data: bytes) -> None:
    """Have `data` be the content of a file. Raises OSError where that cannot be.

    It is written to a temporary file beside the target, flushed to disk and then renamed. A link
    stays one: the file behind it is replaced. Permissions, and where possible the owner, are the
    old file's. Temporary files of this target that a killed process left are removed.
    """
    target = Path(os.path.realpath(expand(path)))
    target.parent.mkdir(parents=True, exist_ok=True)
    before = target.stat() if target.exists() else None
    if before is not None and not stat.S_ISREG(before.st_mode):
        raise FileExistsError(f"{path} is no ordinary file: choose another name to save under")
    _remove_stale(target)
    temporary = target.with_name(f".{short_name(target.name)}.{token_hex(4)}")
    try:
        with temporary.open("xb") as file, locked(file.fileno()):
            if before is not None:
                _keep_attributes(file, before)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            if os.name != "nt":  # where a file can be renamed only when it is closed
                rename(temporary, target)
        if os.name == "nt":
            rename(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _flush_folder(target.parent)


def _keep_attributes(file: BinaryIO, before: os.stat_result) -> None:
    """Give a new file the owner and the permissions of the one that it replaces."""
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):  # only root may give a file away
        os.fchown(file.fileno(), before.st_uid, before.st_gid)
    with contextlib.suppress(OSError):
        os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))


def _remove_stale(target: Path) -> None:
    """Remove the temporary files of a target that no process is writing any more."""
    for path in _temporaries(target):
        with contextlib.suppress(OSError):
            if os.name == "nt":
                path.unlink()  # fails as long as somebody has it open
                continue
            with path.open("r+b") as file, locked(file.fileno()) as mine:
                if mine:
                    path.unlink()


def _temporaries(target: Path) -> Iterator[Path]:
    ours = re.compile(rf"\.{re.escape(short_name(target.name))}\.[0-9a-f]{{8}}")
    with os.scandir(target.parent) as entries:
        for entry in entries:
            if ours.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                yield Path(entry.path)


def _flush_folder(folder: Path) -> None:
    """Flush a folder to disk, so that a power failure does not undo the renaming."""
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):  # which some file systems cannot
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
