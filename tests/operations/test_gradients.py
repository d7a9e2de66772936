"""All gradients as one flat array: summed, measured and clipped."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers import assert_close, random_array


def test_accumulate(check, shape, rng):
    g, total = random_array(rng, (2, shape[0] * shape[1]))
    check(lambda b, v: b.accumulate(v.g, v.total, 0.3, True), {"g": g}, {"total": g.shape})
    check(lambda b, v: b.accumulate(v.g, v.total, 0.3, False), {"g": g}, {"total": total})


def test_sum_of_squares(check, shape, rng):
    x = random_array(rng, shape[0] * shape[1])
    unset, some = np.array([np.nan]), np.array([3.0])
    options = {"ulps": 16, "scale": np.sqrt(x.size)}
    for before, start in [(unset, True), (some, False)]:
        got = check(
            lambda b, v, start=start: b.sum_of_squares(v.x, v.norm2, start),
            {"x": x},
            {"norm2": before},
            **options,
        )
        want = (0 if start else 3) + np.sum(x.astype(check.dtype).astype(np.float64) ** 2)
        assert_close(got["norm2"], want, check.dtype, **options)


@pytest.mark.parametrize("limit", [0.5, 1e9])
def test_clip(check, shape, rng, limit):
    x, norm2 = random_array(rng, shape[0] * shape[1]), np.array([6.25])
    got = check(lambda b, v: b.clip(v.x, v.norm2, limit), {"norm2": norm2}, {"x": x})["x"]
    x = x.astype(check.dtype)
    if limit == 0.5:
        assert_close(got, x * 0.5 / (2.5 + 1e-6), check.dtype)
    else:
        assert got.tobytes() == x.tobytes(), "below the limit nothing changes"


def test_clip_by_a_norm_of_nan_or_zero_changes_nothing(backend, dtype):
    x = np.array([1, -2, np.nan], dtype)
    for norm2 in (np.nan, 0.0):
        array = backend.asarray(x.copy())
        backend.clip(array, backend.asarray(np.array([norm2])), 1.0)
        assert backend.to_numpy(array).tobytes() == x.tobytes()
