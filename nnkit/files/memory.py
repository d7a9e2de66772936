"""How much memory what is read from a file may take: a share of what is free."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from pathlib import Path

SHARE = 0.5
"""The part of the free memory that one array of a file may take: copies of it take the rest."""

UNKNOWN = 4 * 2**30
"""What is taken to be free where the system does not say: 4 GiB."""

GROUPS = Path("/sys/fs/cgroup")
"""Where Linux has the control groups, by which containers and batch systems limit memory."""


def free_memory() -> int:
    """Bytes that can be had without swapping, within the limits of the process's groups."""
    return min([*_available(), *_left_to_groups(Path("/proc/self/cgroup"))], default=UNKNOWN)


def too_much(n_bytes: int) -> str | None:
    """Say why an array of `n_bytes` is not read, or None where there is room for it."""
    free = free_memory()
    if n_bytes <= SHARE * free:
        return None
    return (
        f"takes {n_bytes:,} bytes, more than half of the {free:,} bytes of memory that are free; "
        "use fewer or smaller images"
    )


def _available() -> list[int]:
    """What the whole machine has to give, where it says so."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return [int(line.split()[1]) * 1024]
    except (OSError, ValueError):
        pass
    if sys.platform == "win32":
        return _available_on_windows()
    try:  # where there is no /proc: half of what is built in
        return [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2]
    except (AttributeError, OSError, ValueError):
        return []


class _MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX of the Windows API."""

    _fields_ = (
        ("length", ctypes.c_uint32),
        ("load", ctypes.c_uint32),
        *((name, ctypes.c_uint64) for name in ("physical", "available", "file", "file_left")),
        *((name, ctypes.c_uint64) for name in ("virtual", "virtual_left", "extended_left")),
    )


def _available_on_windows() -> list[int]:
    status = _MemoryStatus(length=ctypes.sizeof(_MemoryStatus))
    known = ctypes.CDLL("kernel32").GlobalMemoryStatusEx(ctypes.byref(status))
    return [status.available] if known else []


def _left_to_groups(membership: Path) -> Iterator[int]:
    """What is left of the limit of each group that the process is in, and of those around it."""
    try:
        lines = [line.split(":", 2) for line in membership.read_text().splitlines()]
    except OSError:
        return
    for _, controllers, path in lines:
        if controllers == "":
            root, limit, used = GROUPS, "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            root, limit, used = GROUPS / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        # In a container the path may be that outside, and the group's files lie at the root.
        names = path.strip("/").split("/")
        for depth in range(len(names) + 1):
            yield from _left_to_group(root.joinpath(*names[:depth]), limit, used)


def _left_to_group(group: Path, limit: str, used: str) -> list[int]:
    """What is left of a group's limit; its cache of files makes way, and counts as free."""
    try:
        left = int((group / limit).read_text()) - int((group / used).read_text())
        figures = dict(map(str.split, (group / "memory.stat").read_text().splitlines()))
        cache = int(figures.get("total_inactive_file", figures.get("inactive_file", 0)))
        return [max(1, left + cache)]
    except (OSError, ValueError):  # no group, or one without a limit: "max"
        return []
