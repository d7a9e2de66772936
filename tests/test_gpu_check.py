"""bench/gpu_check.sh: its parts in small on a CPU, its limits, and the tests that it leaves out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from bench import compile, results
from tests.conftest import LARGE
from tests.device import fake_cupy, simulator

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "bench" / "gpu_check.sh"
TEXT = SCRIPT.read_text()
ON_CPU, ON_GPU = TEXT.partition("if [ $# -eq 2 ]; then\n")[2].split("\nelse\n")
LIMITS = r"^ *(?:part|sanitize) (\w+) (\d+) "


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """That of a machine without autograd."""
    absent = "raise ModuleNotFoundError(\"No module named 'autograd'\", name='autograd')\n"
    (tmp_path / "autograd.py").write_text(absent)
    # Of a worker of pytest-xdist, the child would take itself for one.
    ours = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    return {**ours, "PYTHONPATH": f"{ROOT}:{tmp_path}", "PYTHON": sys.executable}


@pytest.mark.skipif(not os.environ.get(LARGE), reason="is left to make test-large: see .ci/run")
def test_on_a_cpu(tmp_path, environment):
    out = tmp_path / "out"
    done = subprocess.run(
        [SCRIPT, out, "--cpu"], check=False, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout
    summary = (out / "summary.txt").read_text()
    assert {path.name for path in out.iterdir()} == {"summary.txt", "gpu_check.tar.gz"}
    with tarfile.open(out / "gpu_check.tar.gz") as archive:
        archive.extractall(out, filter="data")
    parts = [name for name, _ in re.findall(LIMITS, ON_CPU, re.MULTILINE)]
    assert re.findall(r"^(\w+) +ok ", summary, re.MULTILINE) == parts
    assert done.stdout.endswith(summary)
    records = [results.load(path) for path in sorted(out.rglob("*.json"))]
    assert [record["what"] for record in records] == ["compare", "kernels", "steps"]
    assert not any("partial" in record["settings"] for record in records)
    log = (out / "suite.log").read_text()
    assert "test_layers.py::test_linear" in log and "test_cli" not in log


def test_limits_add_up_to_less_than_the_deadline():
    (deadline,) = map(int, re.findall(r"^deadline=(\d+)", TEXT, re.MULTILINE))
    limits = dict(re.findall(LIMITS, ON_GPU, re.MULTILINE))
    assert {"smoke", "memcheck", "suite", "kernels", "steps", "compare"} <= limits.keys()
    assert sum(map(int, limits.values())) < deadline <= 10 * 60 - 20
    assert list(limits)[-1] == "compare"


def test_a_part_that_takes_too_long_ends_with_its_children(tmp_path):
    names = "part|note|end|bring_home"
    functions = re.findall(rf"^(?:{names})\(\) \{{\n.*?^\}}\n", TEXT, re.MULTILINE | re.DOTALL)
    program = f"""
        set -um; output={tmp_path} home={tmp_path / "home"}
        deadline=460 patience=1 failures=0 group= summary=() PARTS='slow bad unable good'
        {"".join(functions)}
        part slow 1 bash -c 'trap "" ABRT; sleep 60 & echo "$!"; wait'
        part bad 5 false
        part unable 5 bash -c 'echo "Error: Device not supported"; false'
        part good 5 true
        part unnamed 5 false
        echo "$failures failed"
    """
    (tmp_path / "home").mkdir()
    done = subprocess.run(["bash", "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.endswith("2 failed\n")
    brought = sorted(path.name for path in (tmp_path / "home").iterdir())
    assert brought == ["gpu_check.tar.gz", "summary.txt"]
    child = Path("/proc", (tmp_path / "slow.log").read_text().split()[0])
    assert not child.exists() or "zombie" in (child / "status").read_text()
    summary = (tmp_path / "summary.txt").read_text()
    verdicts = re.findall(
        r"^(\w+) +(TIMED OUT|FAILED \(1\)|UNSUPPORTED|ok) ", summary, re.MULTILINE
    )
    assert verdicts == [
        ("slow", "TIMED OUT"),
        ("bad", "FAILED (1)"),
        ("unable", "UNSUPPORTED"),
        ("good", "ok"),
    ]


USELESS = """
import pytest

class CUDARuntimeError(RuntimeError):
    status = 700

@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("n", range(3))
def test_kernel(backend, n):
    if n == 1:
        raise CUDARuntimeError("cudaErrorIllegalAddress")

def test_without_a_backend():
    pass
"""


def test_a_worker_without_a_cuda_context_is_replaced(tmp_path, environment):
    pytest.importorskip("xdist")
    file = tmp_path / "test_useless.py"
    file.write_text(USELESS)
    command = [sys.executable, "-m", "pytest", "-n1", "-p", "bench.gpu_tests", str(file)]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider"],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**environment, "NNKIT_TEST_BACKENDS": "numpy"},
    )
    assert re.search(r"1 failed, 2 passed", done.stdout), done.stdout
    assert "CUDA ERROR in test_useless.py::test_kernel[1-numpy]" in done.stderr


def test_a_simulator_is_not_tested_in_place_of_a_gpu(environment):
    environment |= {"NNKIT_TEST_BACKENDS": "cupy", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "pytest", "-p", "bench.gpu_tests", "tests/test_layers.py"]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=ROOT, env=environment
    )
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "the cupy backend is not available" in done.stderr


@pytest.mark.skipif(simulator.unavailable() is not None, reason=str(simulator.unavailable()))
def test_kernels_are_compiled():
    with fake_cupy.installed():
        assert compile.compile_file("gather", "float32") > 0


def test_what_does_not_compile_is_named(monkeypatch, capsys):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert compile.main(["--workers", "1"]) == 1
    out = capsys.readouterr().out
    assert "FAILED gather float32: " in out
    assert out.splitlines()[-1].startswith("0 of ")
