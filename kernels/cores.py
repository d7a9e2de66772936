"""How many processor cores there are to use."""

import os
from contextlib import suppress
from math import ceil
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Where Linux says how much time of the cores a container gets: two numbers, or "max" first."""


def usable_cores() -> int:
    """Cores that this process may run on, or that its container has the time of."""
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    with suppress(OSError, ValueError):
        quota, period = QUOTA.read_text().split()
        cores = min(cores, max(1, ceil(int(quota) / int(period))))
    return cores
