"""Dropout: the mask to the bit, its rate, and what becomes of NaN."""

from __future__ import annotations

from itertools import pairwise

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


@pytest.mark.parametrize("columns", [1, 7, 1030])
def test_dropout_of_a_part_has_the_whole_mask(backend, dtype, columns):
    """Of some rows behind others: to the bit, wherever in a counter or in a block they begin."""
    at, key, whole = counters(backend, forwards=6), 2**40 + 3, 9
    ones = backend.asarray(np.ones((whole, columns), dtype))
    out = backend.empty((whole, columns), dtype)
    backend.dropout(ones, 0.4, key, at, out)
    want = backend.to_numpy(out).tobytes()
    for cuts in ([0, 1, 2, 3, 4, 9], [0, 0, 5, 9]):
        parts = [*pairwise(cuts)]
        got = [backend.empty((last - first, columns), dtype) for first, last in parts]
        for (first, last), part in zip(parts, got, strict=True):
            backend.dropout(ones[first:last], 0.4, key, at, part, first * columns)
        assert b"".join(backend.to_numpy(part).tobytes() for part in got) == want


def test_numbers_from_any_place_on(backend):
    """Beyond 2^34 elements the upper half of the counter takes part."""
    for first in (2**34 - 3, 2**60 + 5):
        out = backend.empty(9, np.float32)
        x = backend.asarray(np.ones(9, np.float32))
        backend.dropout(x, 0.5, 7, counters(backend), out, first)
        keep = uniform(9, 7, 0, first) >= 0.5
        np.testing.assert_array_equal(backend.to_numpy(out), 2 * keep)
        np.testing.assert_array_equal(uniform(13, 7, 0, first - 4)[4:], uniform(9, 7, 0, first))


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


@pytest.mark.parametrize("channels", [1, 6, 9])
def test_channel_dropout_of_a_part_has_the_whole_mask(backend, dtype, channels):
    at, x = counters(backend), backend.asarray(np.ones((7, 5, channels), dtype))
    out = backend.empty((7, 5, channels), dtype)
    backend.channel_dropout(x, 0.4, 11, at, out)
    want = backend.to_numpy(out)
    for first, last in ((0, 3), (3, 7), (5, 5), (1, 6)):
        part = backend.empty((last - first, 5, channels), dtype)
        backend.channel_dropout(x[first:last], 0.4, 11, at, part, first)
        assert backend.to_numpy(part).tobytes() == want[first:last].tobytes()


def test_channel_dropout_of_nan(check):
    x = np.tile(np.array([[np.nan, np.inf, 1, -np.inf]]), (8, 3, 1))
    check(
        lambda b, v: b.channel_dropout(v.x, 0.5, 9, counters(b), v.out),
        {"x": x},
        {"out": x.shape},
    )
