"""How many processor cores there are to use."""

import ctypes
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from math import ceil, inf
from pathlib import Path

GROUPS = Path("/proc/self/cgroup")
"""Where Linux names the control groups of a process: lines such as "4:cpu,cpuacct:/jobs/7" of the
first version, and "0::/jobs/7" of the second."""
FOLDER = Path("/sys/fs/cgroup")
"""Where the groups are folders: those of the second version, and "cpu" of the first."""
LOCAL_SIZES = (
    "LOCAL_WORLD_SIZE",
    "OMPI_COMM_WORLD_LOCAL_SIZE",
    "MPI_LOCALNRANKS",
    "PMI_LOCAL_SIZE",
    "MV2_COMM_WORLD_LOCAL_SIZE",
)
"""Where torchrun, Open MPI, MPICH and Intel MPI, Cray's and MVAPICH write how many processes they
started on this machine."""
STEP = "SLURM_STEP_TASKS_PER_NODE"
"""Where srun writes it of each machine, such as "4(x2),3": the first has as many as any."""


def usable_cores(process: int = 0) -> int:
    """Cores that this process may run on, or that its control groups have the time of.

    Those that another process may run on, if its number is given.
    """
    cores = _fast_cores() or os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        with suppress(OSError):  # there is no such process any more
            cores = len(os.sched_getaffinity(process))
    return max(1, ceil(min([cores, *map(_limit, _groups())])))


def cores_of_rank() -> int:
    """Cores of this process: its share, where a launcher has started several on this machine.

    Ranks may be free to run on all cores, or bound to some by their launcher, the parent: its cores
    are shared, and no rank has more than it may run on.
    """
    ranks = ranks_here(os.environ)
    if ranks < 2:
        return usable_cores()
    return min(usable_cores(), max(1, usable_cores(os.getppid()) // ranks))


def ranks_here(environment: Mapping[str, str]) -> int:
    """How many processes a launcher says to have started on this machine."""
    for name in LOCAL_SIZES:
        text = environment.get(name, "")
        if text.isdecimal():
            return int(text)
    first = re.match(r"\d+", environment.get(STEP, ""))
    return int(first[0]) if first else 1


def _fast_cores() -> int:
    """Cores of the faster kind, which Apple's processors have beside slower ones; 0 elsewhere.

    Members of a team get equal shares: the fast ones would wait for the slow.
    """
    if sys.platform != "darwin":
        return 0
    number = ctypes.c_int32(0)
    size = ctypes.c_size_t(ctypes.sizeof(number))
    name, place = b"hw.perflevel0.logicalcpu", ctypes.byref(number)
    refused = ctypes.CDLL(None).sysctlbyname(name, place, ctypes.byref(size), None, 0)
    return 0 if refused else number.value  # an Intel has no such levels


def _groups() -> Iterator[Path]:
    """The groups whose limits hold for this process: its own, and all around them.

    A container is often told its group's name on the host, and sees that group as the outermost.
    """
    named = "0::/"
    with suppress(OSError):
        named = GROUPS.read_text()
    for controllers, path in re.findall(r"^\d+:([^:]*):/(.*)$", named, re.MULTILINE):
        if not controllers or "cpu" in controllers.split(","):
            outermost = FOLDER / "cpu" if controllers else FOLDER
            group = outermost / path
            yield from (g for g in (group, *group.parents) if g.is_relative_to(outermost))


def _limit(group: Path) -> float:
    """Cores whose time a group gets: so many microseconds in each period of some."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        with suppress(OSError, ValueError):
            quota, period = map(int, " ".join((group / n).read_text() for n in names).split())
            if quota > 0:  # not -1, or "max"
                return quota / period
    return inf
