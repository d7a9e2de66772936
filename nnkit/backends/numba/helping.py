"""What a helper process runs: it compiles what it is asked for, until nobody asks any more."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from contextlib import suppress

from nnkit.backends.contract import implementations
from nnkit.backends.numba import calls, convolutions, images
from nnkit.backends.numba.messages import ASK, read
from nnkit.backends.numba.planning import Need, need_of, need_of_loop
from nnkit.kernels.numba.runtime import interpreter

LOOK_SECONDS = 1.0
"""How often to look whether the process that asks is still there."""

OPERATIONS = implementations(calls, convolutions, images)


def serve() -> None:
    """Ask for kernels on stdout, get them on stdin, and end with stdin or the asking process."""
    ask = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # of what a compiler may print
    gc.disable()  # which would take a twentieth of the time, for a process that soon ends
    threading.Thread(target=_follow, args=(os.getppid(),), daemon=True).start()
    with suppress(EOFError, OSError):
        while True:
            ask.write(ASK)
            for name, arguments in read(sys.stdin.buffer):
                with suppress(Exception):  # who asks compiles it, and learns why not
                    _need(name, arguments).compile()
    os._exit(0)


def _need(name: str, arguments: tuple[object, ...]) -> Need:
    if name in interpreter.SIGNATURES:
        return need_of_loop(name)
    return need_of(name, arguments, OPERATIONS[name](*arguments))


def _follow(parent: int) -> None:
    """End when the asking process has: another that forked from it may keep stdin open."""
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os._exit(1)
