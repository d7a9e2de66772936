"""The three counters on the device."""

from __future__ import annotations

import numpy as np

from nnkit.backends.contract import FORWARDS, STEP, UPDATES
from tests.helpers import counters


def test_advance(backend):
    at = counters(backend, 1, 2, 2**40)
    backend.advance(at, 1, 1, 3)
    backend.advance(at, -2, 0, 0)
    assert at.dtype == np.int64
    values = backend.to_numpy(at)
    assert (values[STEP], values[UPDATES], values[FORWARDS]) == (0, 3, 2**40 + 3)
