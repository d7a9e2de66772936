"""Random damage to compiled kernels on disk: see `make stress`."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")

from numba.core import config

from nnkit.kernels.numba.codegen.jit import kernel
from tests.stress.bytes import damaged
from tests.stress.share import first_seed, share_of


def add():
    """Make the kernel as a new process does; return its sum, and whether it was on disk."""
    made = kernel(lambda a, b: a + b)
    result = made(2, 3)
    return result, sum(made.stats.cache_hits.values()) == 1


def test_damaged_kernels(tmp_path, monkeypatch):
    """They are as right as before, and on disk again at the latest after the next compilation."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    add()
    (index,), (data,) = (list(tmp_path.rglob(f"*.{ending}")) for ending in ("nbi", "nbc"))
    for seed in range(first_seed(), first_seed() + share_of(150, 2)):
        rng = np.random.default_rng(seed)
        for path in (index, data):
            if rng.random() < 0.7:
                path.write_bytes(damaged(path.read_bytes(), rng))
        assert add()[0] == 5, f"seed {seed}"
        assert add() == (5, True), f"seed {seed}"
