"""What results are recorded with: the kind of machine, versions, commit, and how busy it was."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from collections.abc import Collection
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import nnkit
from nnkit.backends.cupy import cublaslt
from nnkit.bench import thread_count
from nnkit.openblas import VARIABLE, loaded_kernels
from nnkit.system import cpu_features, cuda_version, openblas_remedy

ROOT = Path(__file__).parents[1]
PACKAGES = ("numpy", "numba", "cupy-cuda12x", "cupy-cuda13x")
VECTORS = {"avx512": "avx512f", "avx2": "avx2", "sse2": "sse2"}
"""Vectors of x86 processors, the widest first, and the flag of those that have them."""
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def describe(device: str = "cpu") -> dict[str, Any]:
    """Processor or GPU, and the `kind` under which results of such machines are kept together."""
    cpu = _cpu()
    found: dict[str, Any] = {"kind": machine_kind(cpu), **cpu}
    if device == "cuda":
        gpu = _gpu()
        found |= {"kind": slug(gpu["gpu"]), **gpu}
    return found


def machine_kind(cpu: dict[str, Any]) -> str:
    """Name machines that are worth comparing, such as "amd-epyc-avx512-2-cores".

    One that is told to do without some of its vectors is of a kind of its own, which is neither
    what it is nor what it stands for: "amd-epyc-avx512-as-avx2-2-cores".
    """
    vectors = "-avx512" if cpu["avx512"] else ""
    vectors += f"-as-{cpu['limited_to']}" if cpu["limited_to"] else ""
    return f"{slug(cpu['cpu'])}{vectors}-{cpu['cores']}-cores"


def slug(name: str) -> str:
    """Lower-case words of a name, without trademarks and clock rates."""
    name = re.sub(r"\((r|tm)\)|@.*|\bcpu\b|\bprocessor\b|\d+-core\b", " ", name.lower())
    return "-".join(re.findall(r"[a-z0-9]+", name))


def _cpu() -> dict[str, Any]:
    first = _first_processor(Path("/proc/cpuinfo"))
    flags = first.get("flags", "").split()
    return {
        "cpu": first.get("model name") or platform.processor() or platform.machine(),
        "family": first.get("cpu family", ""),
        "model": first.get("model", ""),
        "avx512": "avx512f" in flags,
        "limited_to": _limit(flags),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1,
        "caches": _caches(Path("/sys/devices/system/cpu/cpu0/cache")),
    }


def _limit(flags: Collection[str]) -> str:
    """The vectors that nnkit's kernels or OpenBLAS are told to make do with, "" if with all.

    By NUMBA_CPU_FEATURES and OPENBLAS_CORETYPE, which stand for another processor.
    """
    own = [name for name, flag in VECTORS.items() if flag in flags]
    used = set(own[:1])
    with suppress(ImportError):
        from nnkit.kernels.numba.codegen.processor import REGISTER_BYTES

        used.add({64: "avx512", 32: "avx2", 16: "sse2"}[REGISTER_BYTES])
    if VARIABLE in os.environ and openblas_remedy(loaded_kernels(), cpu_features()):
        used.add("avx2")
    least = max(used & VECTORS.keys(), key=[*VECTORS].index, default="")
    return least if own and least != own[0] else ""


def _first_processor(cpuinfo: Path) -> dict[str, str]:
    if not cpuinfo.exists():
        return {}
    lines = cpuinfo.read_text(errors="replace").partition("\n\n")[0].splitlines()
    return {name.strip(): value.strip() for name, _, value in (x.partition(":") for x in lines)}


def _caches(folder: Path) -> dict[str, str]:
    """Size of each data cache that the first core sees."""
    caches = {}
    for index in sorted(folder.glob("index*")):
        level, kind, size = (
            (index / name).read_text().strip() for name in ("level", "type", "size")
        )
        if kind != "Instruction":
            caches[f"L{level}"] = size
    return caches


def _gpu() -> dict[str, Any]:
    query = "--query-gpu=name,memory.total,driver_version,clocks.max.sm"
    line = _output("nvidia-smi", query, "--format=csv,noheader").partition("\n")[0]
    fields = [field.strip() for field in line.split(",")]
    if len(fields) != 4:
        return {"gpu": "unknown GPU"}
    return dict(zip(("gpu", "gpu_memory", "gpu_driver", "gpu_clock"), fields, strict=True))


def versions(device: str = "cpu") -> dict[str, str]:
    """Versions of Python and of what nnkit is made of, of CUDA too where a GPU is used."""
    found = {"python": platform.python_version(), "nnkit": nnkit.__version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found | (_cuda_versions() if device == "cuda" else {})


def _cuda_versions() -> dict[str, str]:
    """Of CuPy's CUDA, the latest CUDA for which the driver is, and of cuBLASLt; what can be told.

    Asking makes no context, which would take memory of the GPU that others are timed on.
    """
    found = {}
    try:
        from cupy.cuda import runtime

        found["cuda-runtime"] = cuda_version(runtime.runtimeGetVersion())
        found["cuda-driver"] = cuda_version(runtime.driverGetVersion())
        found["cublaslt"] = cublaslt.load_library(runtime.runtimeGetVersion() // 1000).version
    except Exception:  # as various as what may be wrong with CUDA, and no reason to lose results
        return found
    return found


def settings() -> dict[str, Any]:
    """What else decides the speed."""
    return {"threads": thread_count(), "openblas_kernels": loaded_kernels()}


def commit() -> str:
    """Short hash of the commit, with "+" behind it where files have changed since.

    NNKIT_BENCH_COMMIT names it where there is a copy of the files only.
    """
    git = ("git", "-C", str(ROOT))
    short = _output(*git, "rev-parse", "--short=10", "HEAD").strip()
    changes = _output(*git, "status", "--porcelain", "nnkit", "kernels")
    return (short or os.environ.get("NNKIT_BENCH_COMMIT", "unknown")) + (
        "+" if changes.strip() else ""
    )


def _output(*command: str) -> str:
    """What a command prints; nothing where it fails or does not exist."""
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


class Busyness:
    """How many cores other processes, and other guests of the same host, were using meanwhile."""

    def __init__(self) -> None:
        self.start, self.busy = time.perf_counter(), _busy_seconds()

    def elsewhere(self, own_seconds: float) -> float | None:
        """Cores in use on average that were not ours; None where it cannot be told."""
        busy, wall = _busy_seconds(), time.perf_counter() - self.start
        if busy is None or self.busy is None:
            return None
        return max(0.0, (busy - self.busy - own_seconds) / wall)


def _busy_seconds() -> float | None:
    """Time that all cores together were not idle, stolen time included."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    ticks = [int(field) for field in stat.read_text().split("\n", 1)[0].split()[1:9]]
    idle, waiting = ticks[3], ticks[4]
    return (sum(ticks) - idle - waiting) / TICKS
