"""Compiling kernels before they are used, by several processes at once where there are many.

A process compiles in one thread at a time. Helpers are therefore Python processes of their own,
which import nnkit and never the user's program. What they are asked for they compile and put on
disk, where this process finds it. Whatever happens to them: what is not there it compiles itself.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress

from nnkit.backends.numba.helpers import Helper, can_start
from nnkit.backends.numba.planning import Need
from nnkit.kernels import compiling
from nnkit.kernels.cores import usable_cores

WORTH_HELP = 6000
"""Size of kernels, see `Need.size`, for which it is worth starting a process: they take some two
seconds, and that half of one."""
MOST_HELPERS = 3
LOOK_SECONDS = 0.1
"""How often to look for what a helper has done, and show that time passes."""
PATIENCE_SECONDS = 30.0
"""How long to wait for a helper's last kernel."""

_alone = threading.Lock()


def compile_ahead(needs: list[Need], threads: int) -> None:
    """Compile what is needed, if it is much and there are cores to share it; else do nothing.

    Nothing is compiled twice; what is kept in one file on disk is compiled by one process.
    """
    worth = sum(need.size for need in needs) // WORTH_HELP
    helpers = min(threads - 1, usable_cores() - 1, MOST_HELPERS, worth)
    if helpers < 1 or not can_start() or not _alone.acquire(blocking=False):
        return
    left = deque(_by_file(needs))
    try:
        _share(left, [Helper(left) for _ in range(helpers)])
    finally:
        _alone.release()


def _by_file(needs: list[Need]) -> list[list[Need]]:
    """Kernels in one file on disk together, those first that take longest."""
    files: dict[str, list[Need]] = {}
    for need in needs:
        files.setdefault(need.function._cache.index, []).append(need)
    return sorted(files.values(), key=lambda file: -sum(need.size for need in file))


def _share(left: deque[list[Need]], helpers: list[Helper]) -> None:
    """Compile what is left with some helpers, and wait for them."""
    try:
        with suppress(RuntimeError):  # there may be no more threads
            for helper in helpers:
                helper.start()
        while left:
            with suppress(IndexError):  # a helper has taken the last one
                for need in left.popleft():
                    with suppress(Exception):  # who uses it is told
                        need.compile()
            _tell(helpers)
        waited = 0.0
        while any(helper.busy for helper in helpers) and waited < PATIENCE_SECONDS:
            _tell(helpers, waiting=True)
            for helper in helpers:
                if helper.busy:
                    helper.join(LOOK_SECONDS)
                    waited += LOOK_SECONDS
    finally:
        for helper in helpers:
            helper.stop()
        _tell(helpers)


def _tell(helpers: list[Helper], waiting: bool = False) -> None:
    """Tell who listens of the kernels that helpers have compiled, and that we wait for others."""
    listener = compiling.listener()
    if listener is None:
        return
    for helper in helpers:
        while helper.told < helper.done:
            helper.told += 1
            listener.end()
    if waiting:
        listener.begin()
