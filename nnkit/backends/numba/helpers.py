"""A process that compiles kernels for this one, and the thread that tells it which."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

from nnkit.backends.numba.messages import ASK, write
from nnkit.backends.numba.planning import Need
from nnkit.kernels.numba.codegen.cache import FOLDER_VARIABLE, folder

PROGRAM = (
    "import sys, pickle; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from nnkit.backends.numba.helping import serve; serve()"
)
"""What the process runs. It finds its modules where this one does, and has nothing else of it."""
STOP_SECONDS = 1.0
"""How long to wait for a process that was killed."""


def can_start() -> bool:
    """Whether another Python can be started: not in a program that embeds it, or is frozen."""
    name = Path(sys.executable or "").name.lower()
    return name.startswith(("python", "pypy")) and not getattr(sys, "frozen", False)


class Helper(threading.Thread):
    """Takes from the kernels that are left, one file of them at a time, and has them compiled.

    It ends when none is left, or when its process does.
    """

    def __init__(self, left: deque[list[Need]]) -> None:
        super().__init__(name="nnkit-helper", daemon=True)
        self._left = left
        self._needs: list[Need] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self.busy = False
        """Whether the process compiles something."""
        self.done, self.told = 0, 0
        """Kernels that it is through with, and those of which somebody has been told."""

    def run(self) -> None:
        """Give the process some kernels each time it asks."""
        with suppress(Exception), _process() as process:  # what it leaves, this process compiles
            self._process = process
            if self._stopped:
                process.kill()
            self._serve(process.stdin, process.stdout)
        self.busy = False
        self.done += len(self._needs)

    def _serve(self, to: Any, back: Any) -> None:
        to.write(write(sys.path))
        to.flush()
        for line in back:
            if not line.endswith(ASK):
                continue
            self.done += len(self._needs)
            self.busy = True  # before it is: who finds nothing left must see that we have it
            self._needs = self._next()
            self.busy = bool(self._needs)
            if not self._needs:
                return
            to.write(write([(need.name, need.arguments) for need in self._needs]))
            to.flush()

    def _next(self) -> list[Need]:
        try:
            return self._left.popleft()
        except IndexError:
            return []

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self._stopped = True
        if self._process is not None:
            self._process.kill()
        if self.ident is not None:  # it was started
            self.join(STOP_SECONDS)


def _process() -> subprocess.Popen[bytes]:
    """Start a process that Ctrl-C in our terminal does not reach, and that writes nothing there."""
    return subprocess.Popen(
        [sys.executable, "-P", "-W", "ignore", "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, FOLDER_VARIABLE: folder()},
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
