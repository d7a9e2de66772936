import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import nnkit
import nnkit.backends
from nnkit import system
from nnkit.files.caches import user_cache
from tests.device import fake_cupy, simulator

AVX512 = ["AVX2", "FMA3", "AVX512F", "AVX512_SKX"]


@pytest.mark.parametrize("kernels", ["Haswell", "Zen", "Sandybridge"])
@pytest.mark.parametrize("features", [AVX512, ["AVX2", "X86_V4"]])
def test_openblas_that_ignores_avx512_gets_a_remedy(kernels, features):
    remedy = system.openblas_remedy(kernels, features)
    assert kernels in remedy
    assert "set OPENBLAS_CORETYPE=SkylakeX before Python starts" in remedy


@pytest.mark.parametrize(
    ("kernels", "features"),
    [("SkylakeX", AVX512), ("Cooperlake", AVX512), ("Haswell", ["AVX2", "AVX512F"]), ("Zen", [])],
)
def test_openblas_that_chose_well_gets_none(kernels, features):
    assert system.openblas_remedy(kernels, features) is None


def fake_openblas(architecture, folder):
    return {
        "user_api": "blas",
        "internal_api": "openblas",
        "num_threads": 3,
        "filepath": f"/env/{folder}/libopenblas.so",
        "version": "0.3.29",
        "architecture": architecture,
    }


@pytest.mark.parametrize(("architecture", "advised"), [("Haswell", True), ("SkylakeX", False)])
def test_blas_section_says_what_was_loaded_and_advises_once(monkeypatch, architecture, advised):
    openmp = {"user_api": "openmp", "internal_api": "openmp"}
    libraries = [fake_openblas(architecture, "numpy.libs"), openmp]
    libraries.append(fake_openblas(architecture, "scipy.libs"))
    fake = SimpleNamespace(threadpool_info=lambda: libraries)
    monkeypatch.setitem(sys.modules, "threadpoolctl", fake)
    monkeypatch.setattr(system, "cpu_features", lambda: AVX512)

    blas = system.info()["blas"]

    assert blas["loaded"] == [
        f"openblas 0.3.29, {architecture} kernels, 3 threads, {folder}.libs/libopenblas.so"
        for folder in ("numpy", "scipy")
    ]
    assert [architecture in advice for advice in blas.get("advice", [])] == [True] * advised


def test_blas_section_copes_with_other_libraries(monkeypatch):
    mkl = {
        "user_api": "blas",
        "internal_api": "mkl",
        "num_threads": 2,
        "filepath": "/env/lib/libmkl_rt.so",
        "version": None,
    }
    fake = SimpleNamespace(threadpool_info=lambda: [mkl])
    monkeypatch.setitem(sys.modules, "threadpoolctl", fake)
    blas = system.info()["blas"]
    assert blas["loaded"] == ["mkl of unknown version, 2 threads, lib/libmkl_rt.so"]
    assert "advice" not in blas


def test_info_is_json_and_describes_this_machine(monkeypatch):
    monkeypatch.setenv("NNKIT_BACKEND", "numpy")
    monkeypatch.setenv("UNRELATED_VARIABLE", "no")
    info = system.info()
    assert json.loads(json.dumps(info)) == info
    assert info["versions"]["nnkit"] == nnkit.__version__
    assert info["versions"]["numpy"] == np.__version__
    assert info["versions"]["python"] == sys.version.split()[0]
    assert 1 <= info["cpu"]["usable cores"] <= os.cpu_count()
    assert info["backends"]["numpy"] == "available"
    assert info["environment"]["NNKIT_BACKEND"] == "numpy"
    assert "UNRELATED_VARIABLE" not in info["environment"]


def test_every_section_survives_missing_packages(monkeypatch):
    kernels = [name for name in sys.modules if name.startswith("nnkit.kernels.numba")]
    for name in ("numba", "cupy", "threadpoolctl", *kernels):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(system, "version", missing)
    monkeypatch.setattr(nnkit.backends, "status", lambda: {"numpy": None, "numba": "not here"})
    info = system.info()
    assert info["versions"]["numba"] == "not installed"
    assert info["backends"] == {"numpy": "available", "numba": "not here"}
    assert "threadpoolctl" in info["blas"]["unavailable"]
    assert "numba" in info["threads"]["unavailable"]
    assert info["folders"]["downloads"] == str(user_cache("nnkit"))
    assert info["gpu"] == {}
    assert "not here" in system.format_info(info)


def missing(name):
    raise system.PackageNotFoundError(name)


def test_a_broken_backend_package_is_shown_in_one_line(monkeypatch):
    def fail():
        raise OSError("libcuda.so.1: cannot open\nand a second line")

    monkeypatch.setattr(nnkit.backends, "status", fail)
    info = system.info()
    assert info["backends"] == {"unavailable": "OSError: libcuda.so.1: cannot open"}
    assert info["gpu"] == {}


@pytest.mark.skipif(simulator.unavailable() is not None, reason=str(simulator.unavailable()))
def test_gpu_section(monkeypatch):
    monkeypatch.setattr(nnkit.backends.choosing, "_loaded", {})
    with fake_cupy.installed() as cupy:
        monkeypatch.setattr(cupy.cuda.runtime, "driverGetVersion", lambda: 13010)
        gpu = system.info()["gpu"]
    assert gpu["driver"].endswith("for CUDA up to 13.1")
    assert gpu["runtime"] == "CUDA 12.9"
    assert gpu["products"] == "cuBLASLt 12.9.1, /fake/libcublasLt.so.12"
    assert gpu["device 0"] == "Fake GPU, 80.0 GiB, compute capability 9.0"
    assert "device 1" not in gpu


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19\n", "535.104.05"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Rel\n", "580.65.06"),
        ("nothing of use", "unknown version"),
    ],
)
def test_driver_version(tmp_path, text, expected):
    file = tmp_path / "version"
    file.write_text(text)
    assert system._driver_version(file) == expected
    assert system._driver_version(tmp_path / "absent") == "unknown version"


def test_cpu_model_is_read_from_cpuinfo(tmp_path):
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC 9254\nflags\t\t: fpu\n")
    assert system._cpu_model(file) == "AMD EPYC 9254"
    assert system._cpu_model(tmp_path / "absent")


def test_threads_section_says_how_many_and_how_to_change_it(monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setenv("NNKIT_NUM_THREADS", "3")
    assert system.info()["threads"]["numba backend"] == "3 (NNKIT_NUM_THREADS changes that)"


def test_environment_decides_the_folders(monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/fast/numba")
    monkeypatch.setenv("CUPY_CACHE_DIR", "/fast/cupy")
    monkeypatch.setenv("NNKIT_DATA_DIR", "/fast/data")
    folders = system.info()["folders"]
    assert folders["numba cache"] == "/fast/numba"
    assert folders["cupy cache"] == "/fast/cupy"
    assert folders["data sets"] == "/fast/data"


def test_format_aligns_wraps_and_lists():
    words = [f"word{number}" for number in range(40)]
    text = system.format_info(
        {"one": {"a": 1, "longer name": ["x", "y"], "words": " ".join(words)}, "two": {}}
    )
    assert text.startswith("one\n  a            1\n  longer name  x\n               y\n")
    assert text.endswith("two\n  none")
    assert all(len(line) <= 100 for line in text.splitlines())
    assert [word for word in text.split() if word.startswith("word")][1:] == words


def test_format_of_this_machine_names_the_cpu():
    model = system._cpu_model(Path("/proc/cpuinfo"))
    assert model in system.format_info(system.info())
