"""How a rank ends when another has failed: by itself if it can, else it is ended."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import NamedTuple

from nnkit.distributed.contract import RankError
from nnkit.reasons import named_reason

GRACE = 3.0
"""Seconds in which a program must come to where it hears that a rank has failed."""


class Process(NamedTuple):
    """A rank's process, as others know it."""

    machine: str
    numbers: str
    """In which space of process numbers `pid` is one; empty where that is not known."""
    pid: int


def this_process() -> Process:
    """Return what others need to know of this process."""
    boot, space = "", ""
    with suppress(OSError):  # Linux alone has them
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = f"{boot} {Path('/proc/self/ns/pid').stat().st_ino}"
    return Process(f"{socket.gethostname()} {boot}", space, os.getpid())


def kill_stopped(other: Process) -> None:
    """End a process that gives no sign of life, as one that was stopped, if it is on this machine.

    It can neither hear of anything nor end itself. One on another machine ends once it goes on.
    """
    if other.numbers and other.numbers == this_process().numbers:
        with suppress(OSError):
            os.kill(other.pid, signal.SIGKILL)


def end_unless(
    told: Callable[[], bool], why: str, stopped: Process | None, abort: Callable[[], object]
) -> None:
    """Begin to end this process, unless its program is told of the failure in time.

    It is not if it is stuck, in compiled code perhaps, where no exception reaches it. A process
    that was stopped is ended as well, later, as its end may have a launcher end all others.
    """

    def end() -> None:
        time.sleep(GRACE / 3)
        if stopped is not None:
            kill_stopped(stopped)
        time.sleep(GRACE * 2 / 3)
        if not told():
            os.write(2, f"nnkit: {why}\n".encode())
            Thread(target=abort, daemon=True).start()
            time.sleep(1)
            os._exit(1)

    Thread(target=end, daemon=True, name="nnkit-end").start()


def on_exception(fail: Callable[[str], object]) -> None:
    """Call `fail` with the reason, if the program ends by an exception of its own."""
    show = sys.excepthook

    def hook(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        if not isinstance(error, RankError):
            fail(named_reason(error))
        show(kind, error, traceback)

    sys.excepthook = hook
