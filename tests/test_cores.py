"""How many cores there are to use: those that a process may run on, and has the time of."""

from __future__ import annotations

import ctypes
import os
import sys
from types import SimpleNamespace

import pytest

from nnkit.kernels import cores


@pytest.fixture
def system(monkeypatch, tmp_path):
    """A system of eight cores; a function that makes its files."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(cores, "GROUPS", tmp_path / "proc" / "cgroup")
    monkeypatch.setattr(cores, "FOLDER", tmp_path / "sys")

    def write(files):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(f"{text}\n")

    return write


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("max 100000", 8), ("250000 100000", 3), ("1000 100000", 1), ("1600000 100000", 8)),
        *(("nothing", 8), ("-1 100000", 8), ("", 8)),
    ],
)
def test_a_container_sees_its_own_group_only(system, text, expected):
    system({"sys/cpu.max": text})
    assert cores.usable_cores() == expected
    system({"proc/cgroup": "0::/"})
    assert cores.usable_cores() == expected


def test_any_group_around_a_process_may_be_limited(system):
    """As of a job of Slurm's, or of a service of systemd's: the lowest limit holds."""
    system({"proc/cgroup": "0::/jobs/job_7/step_0", "sys/jobs/job_7/step_0/cpu.max": "max 100000"})
    assert cores.usable_cores() == 8
    system({"sys/jobs/job_7/cpu.max": "300000 100000", "sys/jobs/cpu.max": "600000 100000"})
    assert cores.usable_cores() == 3
    system({"sys/jobs/job_8/cpu.max": "100000 100000"})
    assert cores.usable_cores() == 3


@pytest.mark.parametrize("controllers", ["cpu", "cpu,cpuacct", "cpuacct,cpu"])
def test_groups_of_the_first_version(system, controllers):
    system(
        {
            "proc/cgroup": f"5:cpuset:/other\n4:{controllers}:/docker/1f\n1:name=systemd:/\n0::/",
            "sys/cpu/docker/1f/cpu.cfs_quota_us": "-1",
            "sys/cpu/docker/1f/cpu.cfs_period_us": "100000",
            "sys/cpu/other/cpu.cfs_quota_us": "100000",
            "sys/cpu/other/cpu.cfs_period_us": "100000",
        }
    )
    assert cores.usable_cores() == 8
    system({"sys/cpu/docker/1f/cpu.cfs_quota_us": "450000"})
    assert cores.usable_cores() == 5


def test_a_container_that_is_told_its_name_on_the_host(system):
    """What it sees as the outermost group is its own."""
    system({"proc/cgroup": "4:cpu,cpuacct:/docker/1f"})
    system({"sys/cpu/cpu.cfs_quota_us": "200000", "sys/cpu/cpu.cfs_period_us": "100000"})
    assert cores.usable_cores() == 2


def test_groups_outside_of_what_is_seen(system):
    system({"proc/cgroup": "0::/../../elsewhere", "sys/cpu.max": "200000 100000"})
    assert cores.usable_cores() == 2


@pytest.mark.parametrize("text", ["", "what is this", "0::", ":::"])
def test_names_that_are_none(system, text):
    system({"proc/cgroup": text})
    assert cores.usable_cores() == 8


def test_cores_are_counted_anew_each_time(system, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    assert cores.usable_cores() == 1


def test_where_there_is_no_affinity(system, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(cores, "_fast_cores", lambda: 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert cores.usable_cores() == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores.usable_cores() == 1


@pytest.mark.parametrize(("fast", "expected"), [(4, 4), (None, 6)])
def test_apples_slower_cores_are_left_out(system, monkeypatch, fast, expected):
    """The library of a Mac; one with an Intel knows no such name."""
    asked = []

    def sysctlbyname(name, place, size, new, new_size):
        asked.append(name)
        if fast is None:
            return -1
        ctypes.cast(place, ctypes.POINTER(ctypes.c_int32))[0] = fast
        return 0

    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    monkeypatch.setattr(sys, "platform", "darwin")
    library = SimpleNamespace(sysctlbyname=sysctlbyname)
    monkeypatch.setattr(cores.ctypes, "CDLL", lambda name: library)
    assert cores.usable_cores() == expected
    assert asked == [b"hw.perflevel0.logicalcpu"]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        *(({}, 1), ({"LOCAL_WORLD_SIZE": "4"}, 4), ({"MPI_LOCALNRANKS": "2"}, 2)),
        *(({"OMPI_COMM_WORLD_LOCAL_SIZE": "8"}, 8), ({"MPI_LOCALNRANKS": "many"}, 1)),
        *(({"SLURM_STEP_TASKS_PER_NODE": f"3{rest}"}, 3) for rest in ("", "(x2)", "(x2),1")),
    ],
)
def test_ranks_of_a_machine(environment, expected):
    assert cores.ranks_here(environment) == expected


@pytest.mark.parametrize(
    ("own", "launchers", "ranks", "expected"),
    [(8, 8, 1, 8), (8, 8, 3, 2), (8, 8, 16, 1), (2, 8, 4, 2), (4, 8, 4, 2), (1, 8, 4, 1)],
    ids=str,
)
def test_ranks_share_the_cores(system, monkeypatch, own, launchers, ranks, expected):
    """Free to run on all of them, bound to some of their own, or to some that they share."""
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(ranks))
    counts = {0: own, os.getppid(): launchers}
    monkeypatch.setattr(
        os, "sched_getaffinity", lambda process: set(range(counts[process])), raising=False
    )
    assert cores.cores_of_rank() == expected
    system({"sys/cpu.max": "200000 100000"})
    assert cores.cores_of_rank() == min(expected, max(1, 2 // ranks))
