"""How much memory what is read from a file may take: a share of what is free."""

from __future__ import annotations

import os
from pathlib import Path

SHARE = 0.5
"""The part of the free memory that one array of a file may take: copies of it take the rest."""

UNKNOWN = 4 * 2**30
"""What is taken to be free where the system does not say: 4 GiB."""

_CONTROL_GROUPS = (
    ("/sys/fs/cgroup", "memory.max", "memory.current"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
)
"""Where Linux says what a container may use and uses: its folder and two files, new and old."""


def free_memory() -> int:
    """Bytes that can be had without swapping, in this container if it has a limit of its own."""
    free = [found for found in (_available(), *map(_left_to_group, _CONTROL_GROUPS)) if found]
    return min(free, default=UNKNOWN)


def too_much(n_bytes: int) -> str | None:
    """Say why an array of `n_bytes` is not read, or None where there is room for it."""
    free = free_memory()
    if n_bytes <= SHARE * free:
        return None
    return (
        f"takes {n_bytes:,} bytes, more than half of the {free:,} bytes of memory that are free; "
        "use fewer or smaller images"
    )


def _available() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:  # where there is no /proc: half of what is built in
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, OSError, ValueError):
        return None


def _left_to_group(where: tuple[str, str, str]) -> int | None:
    """What is left of a control group's limit; its files' cache makes way, and counts as free."""
    folder, limit, used = where
    try:
        left = int(Path(folder, limit).read_text()) - int(Path(folder, used).read_text())
        cache = dict(map(str.split, Path(folder, "memory.stat").read_text().splitlines()))
        return max(1, left + int(cache["inactive_file"]))
    except (OSError, ValueError, KeyError):  # no group, or one without a limit: "max"
        return None
