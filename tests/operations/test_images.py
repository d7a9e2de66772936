"""The axes of images."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers import random_array
from tests.operations.shared import EXTREMES

SIZES = [
    *((1, 1), (1, 784), (3, 1024), (1024, 3), (8, 8), (16, 16), (15, 17), (17, 40), (64, 49)),
    *((7, 5), (4, 33), (100, 16), (0, 5), (5, 0)),
]


@pytest.mark.parametrize("n", [0, 1, 5])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_transpose(check, dtype, rng, n, size):
    x = random_array(rng, (n, *size))
    got = check(lambda b, v: b.transpose(v.x, v.out), {"x": x}, {"out": (n, *size[::-1])}, ulps=0)
    assert np.array_equal(got["out"], x.transpose(0, 2, 1).astype(dtype))


def test_transpose_copies_bits(backend, dtype):
    """NaN's, too."""
    x = np.tile(EXTREMES, 33).reshape(1, 33, 11).astype(dtype)
    out = backend.empty((1, 11, 33), dtype)
    backend.transpose(backend.asarray(x), out)
    assert backend.to_numpy(out).tobytes() == x.transpose(0, 2, 1).tobytes()
