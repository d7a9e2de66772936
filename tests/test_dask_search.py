"""The example of a search by Dask: two workers share the fits, and the best network is found."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
pytest.importorskip("distributed", reason="Dask is not installed")

ROOT = Path(__file__).parents[1]


def test_two_workers_search(tmp_path):
    example = ROOT / "examples" / "cluster" / "dask_search.py"
    done = subprocess.run(
        [sys.executable, "-W", "error", str(example)],
        check=False, capture_output=True, text=True, timeout=120, cwd=tmp_path,
        env={**os.environ, "NNKIT_BACKEND": "numpy", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    counts = re.search(r"tasks by worker: \[(\d+), (\d+)\]", done.stdout)
    assert min(map(int, counts.groups())) > 0
    assert re.search(r"'hidden_layer_sizes': \(32,\)}, 9\d\.\d% of the others", done.stdout)
