"""Every CUDA kernel again: under sanitizers, and in half dtypes.

The conformance suite runs in float32 and float64. Here a part of it that launches
every kernel runs in processes of its own, on the simulator even where there is a GPU.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nnkit.kernels import cuda
from tests.conftest import LARGE
from tests.device import launched, simulator

at_large = pytest.mark.skipif(not os.environ.get(LARGE), reason="is left to make test-large")
pytestmark = pytest.mark.skipif(
    simulator.unavailable() is not None, reason=str(simulator.unavailable())
)

ROOT = Path(__file__).parents[1]
SANITIZED = (
    "(large_arrays or batch_norm_back or layouts or gather or any_shape or capture or linear_layer)"
    " and not float64"
)
"""Teams of every size, several blocks to a column, views that begin anywhere. `test_large_arrays`
chooses an order itself. Sanitized kernels are compiled once more, so for one dtype only."""
HALF = """
(1x1 or 7x33 or 3x1000 or 2x1100 or 2100x10 or no_rows or layouts or gather or keep or nan
 or extremes or capture or results) and float16 and not by_hand and not of_nothing
and not (extremes and (prelu or softmax or activation_backward))
"""
"""The ids of both half dtypes end in float16. Left out is what needs numbers beyond their range, or
the bits of a NaN."""

FAULT = """
import sys
import pytest
from nnkit.kernels import cuda
right = cuda.source
careful, careless = "i + k < end ? (REAL)x[i + k] : fill", "(REAL)x[i + k]"
assert careful in right("gradients")
gradients = right("gradients").replace(careful, careless)
cuda.source = lambda name: gradients if name == "gradients" else right(name)
sys.exit(pytest.main(sys.argv[1:]))
"""
"""Reads beyond the end of an array that make no difference to any result."""


def _run(
    environment: dict[str, str], selection: str, program: tuple[str, ...] = ("-m", "pytest")
) -> subprocess.CompletedProcess[str]:
    """Run a part of the conformance suite on the simulator, in small.

    Its output is not captured: a sanitizer's last words would be lost.
    """
    environment = {
        **{k: v for k, v in environment.items() if k not in ("PYTEST_ADDOPTS", LARGE)},
        **{"NNKIT_TEST_BACKENDS": "cupy", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)},
    }
    options = *("-qsx", "-p", "no:cacheprovider", "-p", launched.__name__), "-k", selection
    command = [sys.executable, *program, *options, "tests/operations"]
    return subprocess.run(
        command, cwd=ROOT, env=environment, text=True, capture_output=True, check=False
    )


def _all_kernels(dtype: str) -> set[str]:
    sources, options = map(cuda.source, cuda.files_for(dtype)), cuda.options(dtype)
    modules = [simulator.RawModule(code=source, options=options) for source in sources]
    return {kernel for module in modules for kernel in module.names}


def _assert_all_passed(result: subprocess.CompletedProcess[str], dtype: str) -> None:
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    names = result.stdout.partition(launched.HEADING)[2].partition("\n")[0].split()
    assert set(names) == _all_kernels(dtype), "a kernel did not run"


@at_large
def test_operations_in_half_types():
    pytest.importorskip("ml_dtypes")
    selection = " ".join(HALF.split())
    halves = {**os.environ, "NNKIT_TEST_DTYPES": "float16 bfloat16"}
    _assert_all_passed(_run(halves, selection), "float16")


@pytest.fixture
def sanitized() -> dict[str, str]:
    environment = simulator.sanitizer_environment()
    if environment is None:
        pytest.skip("g++ has no libasan or no libubsan")
    return environment


@at_large
def test_operations_under_sanitizers(sanitized):
    _assert_all_passed(_run(sanitized, SANITIZED), "float32")


@at_large
def test_sanitizers_see_what_results_do_not(sanitized):
    selection = "test_accumulate and float32 and 5x3"
    program = "-c", FAULT
    unseen = _run(dict(os.environ), selection, program)
    assert unseen.returncode == 0, unseen.stdout
    seen = _run(sanitized, selection, program)
    assert seen.returncode != 0
    assert "AddressSanitizer" in seen.stderr and "common.cuh" in seen.stderr
