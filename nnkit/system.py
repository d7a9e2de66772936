"""What `nnkit info` shows: versions, processor, BLAS, threads, backends, GPU, folders, environment.

Each section is found out on its own. One that cannot be has the single entry "unavailable", with
the reason, so that `info` works, and never raises, on a machine where something is broken.
"""

import os
import platform
import re
import sys
import textwrap
from collections.abc import Callable, Collection
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distributions, version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import nnkit
from nnkit.files.caches import user_cache
from nnkit.kernels import cores
from nnkit.reasons import named_reason

Section = dict[str, str | int | list[str]]

# OpenBLAS's names for x86 kernels that leave AVX-512 unused.
_KERNELS_WITHOUT_AVX512 = {"prescott", "nehalem", "sandybridge", "haswell", "zen"}
_VARIABLES = ("NNKIT_", "OPENBLAS_", "OMP_", "MKL_", "NUMBA_", "CUPY_", "CUDA_")
_VECTOR_FEATURES = ("SSE42", "AVX", "F16C", "FMA", "AMX", "NEON", "ASIMD", "SVE", "VSX", "LSX")


def info() -> dict[str, Section]:
    """Describe this machine and installation, by section; made of what JSON can hold."""
    status = _attempt(_backends)
    return {
        "versions": _attempt(_versions),
        "platform": _attempt(_platform),
        "cpu": _attempt(_cpu),
        "blas": _attempt(_blas),
        "threads": _attempt(_threads),
        "backends": status,
        "gpu": _attempt(_gpu) if status.get("cupy") == "available" else {},
        "folders": _attempt(_folders),
        "environment": _attempt(_environment),
    }


def format_info(info: dict[str, Section]) -> str:
    """Lay out the result of `info` for people: a heading a section, the values aligned."""
    width = max((len(name) for section in info.values() for name in section), default=0)
    blocks = []
    for heading, section in info.items():
        lines = [heading]
        for name, value in section.items():
            lines += _format_entry(name.ljust(width), value)
        blocks.append("\n".join(lines if section else [heading, "  none"]))
    return "\n\n".join(blocks)


def _format_entry(name: str, value: str | int | list[str]) -> list[str]:
    indent = " " * (len(name) + 4)
    lines = []
    for text in value if isinstance(value, list) else [str(value)]:
        lines += textwrap.wrap(
            text, 100 - len(indent), break_long_words=False, break_on_hyphens=False
        )
    lines = lines or ["none"]
    return [f"  {name}  {lines[0]}", *(indent + line for line in lines[1:])]


def openblas_remedy(kernels: str, cpu_features: Collection[str]) -> str | None:
    """Say what to do where OpenBLAS leaves a processor's AVX-512 unused, or None where it does not.

    `kernels` is the core OpenBLAS chose, such as "Haswell"; `cpu_features` are NumPy's names.
    """
    has_avx512 = not {"AVX512_SKX", "X86_V4"}.isdisjoint(cpu_features)
    if not has_avx512 or kernels.lower() not in _KERNELS_WITHOUT_AVX512:
        return None
    return (
        f"OpenBLAS chose its {kernels} kernels, which leave AVX-512 unused: set "
        "OPENBLAS_CORETYPE=SkylakeX before Python starts (float32 matrix products went from 240 to "
        "440 GFLOP/s on two cores of an AMD EPYC)"
    )


def cpu_features() -> list[str]:
    """List the processor's features, by NumPy's names such as "AVX2" and "AVX512_SKX"."""
    features: dict[str, bool] = import_module("numpy._core._multiarray_umath").__cpu_features__
    return [name for name, present in features.items() if present]


def _attempt(find: Callable[[], Section]) -> Section:
    try:
        return find()
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # a broken library may raise anything
        return {"unavailable": named_reason(error)}


def _versions() -> Section:
    found: Section = {"nnkit": nnkit.__version__, "python": platform.python_version()}
    found |= {name: _version(name) for name in ("numpy", "numba")}
    # More than one CuPy is a broken installation, and worth seeing.
    cupys = {f"{d.name} {d.version}" for d in distributions() if (d.name or "").startswith("cupy")}
    found["cupy"] = ", ".join(sorted(cupys)) or "not installed"
    return found


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


def _platform() -> Section:
    return {
        "system": platform.platform(),
        "machine": platform.machine(),
        "python": f"{platform.python_implementation()}, {sys.executable}",
    }


def _cpu() -> Section:
    shown = [n for n in cpu_features() if n.startswith(_VECTOR_FEATURES) and "_" not in n]
    return {
        "model": _cpu_model(Path("/proc/cpuinfo")),
        "usable cores": cores.usable_cores(),
        "features": " ".join(shown),
    }


def _cpu_model(cpuinfo: Path) -> str:
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _blas() -> Section:
    from threadpoolctl import threadpool_info

    built_with = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    loaded = [library for library in threadpool_info() if library["user_api"] == "blas"]
    remedies = {
        openblas_remedy(library.get("architecture", ""), cpu_features())
        for library in loaded
        if library["internal_api"] == "openblas"
    }
    found: Section = {
        "numpy built with": f"{built_with['name']} {built_with['version']}",
        "loaded": [_describe_blas(library) for library in loaded],
    }
    if advice := sorted(remedies - {None}, key=str):
        found["advice"] = [str(remedy) for remedy in advice]
    return found


def _describe_blas(library: dict[str, str]) -> str:
    path = Path(library["filepath"])
    parts = [f"{library['internal_api']} {library.get('version') or 'of unknown version'}"]
    if "architecture" in library:
        parts.append(f"{library['architecture']} kernels")
    parts += [f"{library['num_threads']} threads", f"{path.parent.name}/{path.name}"]
    return ", ".join(parts)


def _threads() -> Section:
    from nnkit.kernels.numba.codegen.processor import REGISTER_BYTES
    from nnkit.kernels.numba.runtime.threads import VARIABLE, count

    return {
        "numba backend": f"{count()} ({VARIABLE} changes that)",
        "vectors": f"{8 * REGISTER_BYTES} bits",
    }


def _backends() -> Section:
    from nnkit.backends import status

    return {name: reason or "available" for name, reason in status().items()}


def _gpu() -> Section:
    from cupy.cuda import runtime

    cuda = cuda_version(runtime.driverGetVersion())
    from nnkit.backends import get_backend
    from nnkit.backends.cupy import CupyBackend

    backend = get_backend("cupy")
    assert isinstance(backend, CupyBackend)
    found: Section = {
        "products": str(backend.libraries),
        "driver": f"{_driver_version(Path('/proc/driver/nvidia/version'))}, for CUDA up to {cuda}",
        "runtime": f"CUDA {cuda_version(runtime.runtimeGetVersion())}",
    }
    for index in range(runtime.getDeviceCount()):
        properties = runtime.getDeviceProperties(index)
        found[f"device {index}"] = (
            f"{properties['name'].decode()}, {properties['totalGlobalMem'] / 2**30:.1f} GiB, "
            f"compute capability {properties['major']}.{properties['minor']}"
        )
    return found


def _driver_version(file: Path) -> str:
    """Read the version, such as 580.65.06, that NVIDIA's kernel module reports on Linux."""
    text = file.read_text(errors="replace") if file.exists() else ""
    found = re.search(r"\b\d+(\.\d+)+", text)
    return found[0] if found else "unknown version"


def cuda_version(number: int) -> str:
    """Write CUDA's version number, 1000 * major + 10 * minor, the usual way."""
    return f"{number // 1000}.{number % 1000 // 10}"


def _folders() -> Section:
    return {
        "data sets": os.environ.get("NNKIT_DATA_DIR") or "NNKIT_DATA_DIR is not set",
        "downloads": str(user_cache("nnkit")),
        "numba cache": os.environ.get("NUMBA_CACHE_DIR") or _numba_cache(),
        "cupy cache": os.environ.get("CUPY_CACHE_DIR")
        or str(Path("~/.cupy/kernel_cache").expanduser()),
    }


def _numba_cache() -> str:
    """Give Numba's default: beside the source, or the user's cache where that is read-only."""
    beside = Path(cores.__file__).parent / "numba"
    if os.access(beside, os.W_OK):
        return str(beside / "__pycache__")
    if find_spec("numba") is None:
        return "Numba is not installed"
    from nnkit.kernels.numba.codegen.cache import user_folder

    return user_folder()


def _environment() -> Section:
    return {
        name: value for name, value in sorted(os.environ.items()) if name.startswith(_VARIABLES)
    }
