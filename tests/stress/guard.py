"""What a damaged file may not bring about: programs, the network, files elsewhere, much memory."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FORBIDDEN = (
    *("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork"),
    *("socket.", "urllib.", "ftplib.", "http.", "pickle.", "webbrowser.", "pty."),
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
MOST_KIB = 512 * 1024
"""What one attempt may add to the memory in use at its peak."""


class ForbiddenError(BaseException):
    """Code did what no file may make it do; nothing that catches Exception hides it."""


_writable: Path | None = None


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _writable is None or sys.is_finalizing():
        return
    if event.startswith(FORBIDDEN):
        raise ForbiddenError(f"{event}{arguments!r:.200}")
    if event == "open" and arguments[2] & WRITING:
        path = Path(str(arguments[0]))
        if _writable not in path.parents and "__pycache__" not in path.parts:
            raise ForbiddenError(f"open for writing: {path}")


@contextmanager
def guarded(folder: Path) -> Iterator[None]:
    """Inside the block anything forbidden, or much memory, raises `ForbiddenError`.

    Files may be written below `folder`, and compiled code where Python keeps its own.
    """
    global _writable  # noqa: PLW0603 - an audit hook is the process's, and cannot be removed
    before = _peak_kib(anew=True)
    _writable = folder
    try:
        yield
    finally:
        _writable = None
    more = _peak_kib() - before
    if more > MOST_KIB:
        raise ForbiddenError(f"{more / 1024:.0f} MiB of memory")


def _peak_kib(anew: bool = False) -> int:
    """Return the most memory this process has had, since it was last asked `anew`, in KiB."""
    if anew:
        Path("/proc/self/clear_refs").write_text("5")  # see proc(5)
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def install() -> None:
    """Have Python report to us; it cannot be undone."""
    sys.addaudithook(_watch)
