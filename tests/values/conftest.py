"""What the tests of copies share."""

from __future__ import annotations

import numpy as np
import pytest

from nnkit.backends import choosing


@pytest.fixture(autouse=True)
def _found_by_name(backend, monkeypatch):
    """A pickle has the backend's name; the simulated one is not found by it otherwise."""
    monkeypatch.setitem(choosing._loaded, backend.name, backend)


@pytest.fixture
def data(rng):
    t = rng.integers(0, 3, 30)
    x = rng.normal(size=(30, 6)).astype("f")
    x[np.arange(30), t] += 3
    return x, t
