"""Processors with narrower vectors: kernels compiled for them give what NumPy gives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba")

from nnkit.kernels.numba.codegen.processor import X86
from nnkit.system import cpu_features

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif(not X86, reason="the processors are x86")
@pytest.mark.parametrize(
    ("name", "features", "expected", "checks"),
    [("haswell", "+avx,+avx2,+fma", "32", []), ("generic", "", "16", ["products"])],
    ids=["AVX2", "SSE2"],
)
def test_processors_with_narrower_vectors(name, features, expected, checks):
    """AVX2 has ways of its own in products and gradients; the narrowest has those of the widest."""
    if name == "haswell" and not {"AVX2", "FMA3"} <= set(cpu_features()):
        pytest.skip("this processor has no AVX2")
    code = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features}
    done = subprocess.run(
        [sys.executable, "-m", "tests.processors", *checks],
        env={**os.environ, "PYTHONPATH": str(ROOT), "NNKIT_NUM_THREADS": "2", **code},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == (expected, "")
