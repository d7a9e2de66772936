"""Dropout: the mask to the bit, its rate, and what becomes of NaN."""

from __future__ import annotations

import numpy as np
import pytest

from nnkit.backends.numpy.philox import uniform
from tests.helpers import counters, random_array

KEYS = [(0, 0), (1, 7), (2**32 + 7, 2**32 + 3), (2**64 - 1, 2**40)]
"""(key, stream), to the ends of what the generator takes."""


def test_dropout(check, shape, rng):
    check(
        lambda b, v: b.dropout(v.x, 0.3, 42, counters(b, forwards=5), v.out),
        {"x": random_array(rng, shape)},
        {"out": shape},
        scale=0,
    )


@pytest.mark.parametrize(
    ("key", "stream", "p"), [*((*key, 0.5) for key in KEYS), (1, 7, 0.1), (1, 7, 0.9)]
)
def test_dropout_mask_is_the_same_bit_for_bit(backend, dtype, key, stream, p):
    shape = (13, 7)
    out = backend.empty(shape, dtype)
    x = backend.asarray(np.ones(shape, dtype))
    backend.dropout(x, p, key, counters(backend, forwards=stream), out)
    keep = uniform(13 * 7, key, stream).reshape(shape) >= np.float32(p)
    assert np.array_equal(backend.to_numpy(out), np.where(keep, dtype.type(1 / (1 - p)), 0))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_keep_rate(backend, p):
    n = 20_000
    out = backend.empty(n, np.float32)
    backend.dropout(backend.asarray(np.ones(n, np.float32)), p, 1, counters(backend), out)
    kept = backend.to_numpy(out) != 0
    assert abs(kept.mean() - (1 - p)) < 5 * np.sqrt(p * (1 - p) / n)


def test_dropout_keeps_a_number_equal_to_p(backend):
    p, out = float(uniform(32, 5, 0)[17]), backend.empty(32, np.float32)
    backend.dropout(backend.asarray(np.ones(32, np.float32)), p, 5, counters(backend), out)
    assert backend.to_numpy(out)[17] > 0


def test_dropout_of_nothing_changes_nothing(backend, dtype, rng):
    x = np.append(random_array(rng, 40, dtype), dtype.type(np.nan))
    out = backend.empty(x.shape, dtype)
    backend.dropout(backend.asarray(x), 0.0, 3, counters(backend), out)
    got = backend.to_numpy(out)
    assert got[:-1].tobytes() == x[:-1].tobytes()
    assert np.isnan(got[-1])  # a GPU makes one NaN of all


def test_dropout_masks_differ_between_forwards_and_keys(backend):
    x = backend.asarray(np.ones(64, np.float32))
    masks = []
    for key, forwards in [(1, 0), (1, 1), (2, 0)]:
        out = backend.empty(64, np.float32)
        backend.dropout(x, 0.5, key, counters(backend, 3, 4, forwards), out)
        masks.append(backend.to_numpy(out).tobytes())
    assert len(set(masks)) == 3


def test_dropout_of_nan(check):
    """A dropped element is 0 whatever it was; a kept one stays NaN or infinite."""
    x = np.tile([np.nan, np.inf, -np.inf, 1], 8)
    check(lambda b, v: b.dropout(v.x, 0.5, 9, counters(b), v.out), {"x": x}, {"out": x.shape})


@pytest.mark.parametrize("pixels", [1, 5, 700])
@pytest.mark.parametrize("channels", [1, 3, 6, 16])
def test_channel_dropout(check, rng, pixels, channels):
    shape = 5, pixels, channels
    check(
        lambda b, v: b.channel_dropout(v.x, 0.3, 42, counters(b, forwards=5), v.out),
        {"x": random_array(rng, shape)},
        {"out": shape},
        scale=0,
    )


@pytest.mark.parametrize(("key", "stream"), KEYS)
def test_channel_dropout_has_the_mask_of_channels(backend, dtype, key, stream):
    """That of dropout for one number of each channel, bit for bit."""
    out, few = backend.empty((7, 4, 9), dtype), backend.empty((7, 9), dtype)
    x = backend.asarray(np.ones((7, 4, 9), dtype))
    at = counters(backend, forwards=stream)
    backend.channel_dropout(x, 0.4, key, at, out)
    backend.dropout(backend.asarray(np.ones((7, 9), dtype)), 0.4, key, at, few)
    want = np.repeat(backend.to_numpy(few)[:, None], 4, axis=1)
    assert backend.to_numpy(out).tobytes() == want.tobytes()


def test_channel_dropout_of_nan(check):
    x = np.tile(np.array([[np.nan, np.inf, 1, -np.inf]]), (8, 3, 1))
    check(
        lambda b, v: b.channel_dropout(v.x, 0.5, 9, counters(b), v.out),
        {"x": x},
        {"out": x.shape},
    )
