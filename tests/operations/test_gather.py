"""Mini-batches: rows in the order that is given, bytes as numbers in 0..1."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers import assert_close, counters, place


@pytest.mark.parametrize("columns", [1, 3, 31, 784])
def test_gather(backend, check, dtype, rng, columns):
    images = rng.integers(0, 256, (29, columns)).astype(np.uint8)
    order = rng.permutation(29).astype(np.int64)
    for step, rows in [(0, 8), (2, 8), (3, 5)]:
        chosen = order[8 * step : 8 * step + rows]
        check(
            lambda b, v, step=step: b.gather(v.source, v.order, counters(b, step, 6, 7), 8, v.out),
            {"source": images, "order": order},
            {"out": (rows, columns)},
            scale=0,
            ulps=1,
        )
        out = backend.empty((rows, columns), dtype)
        arrays_ = backend.asarray(images), backend.asarray(order)
        backend.gather(*arrays_, counters(backend, step), 8, out)
        assert_close(backend.to_numpy(out), images[chosen] / 255, dtype, ulps=1, scale=0)


def test_gather_scales_white_to_one(backend, dtype):
    out = backend.empty((1, 2), dtype)
    source = backend.asarray(np.array([[0, 255]], np.uint8))
    backend.gather(source, backend.asarray(np.zeros(1, np.int64)), counters(backend), 1, out)
    assert backend.to_numpy(out).tolist() == [[0, 1]]


@pytest.mark.parametrize("layout", ["contiguous", "offset"])
@pytest.mark.parametrize(
    "source",
    [
        np.arange(21, dtype=np.int32),
        np.arange(63, dtype=np.float32).reshape(21, 3),
        np.arange(63, dtype=np.float64).reshape(21, 3),
        np.arange(21 * 2 * 3, dtype=np.float32).reshape(21, 2, 3),
        np.arange(63, dtype=np.uint8).reshape(21, 3),
    ],
    ids=["labels", "float32", "float64", "float32-3d", "uint8"],
)
def test_gather_copies_what_needs_no_scaling(backend, rng, source, layout):
    order = rng.permutation(21).astype(np.int64)
    for step, rows in [(0, 8), (2, 5)]:
        out = backend.empty((rows, *source.shape[1:]), source.dtype)
        backend.gather(
            place(backend, source, layout),
            backend.asarray(order),
            counters(backend, step),
            8,
            out,
        )
        want = source[order[8 * step : 8 * step + rows]]
        assert backend.to_numpy(out).tobytes() == want.tobytes()


def test_gather_may_repeat_rows(backend):
    source, out = backend.asarray(np.arange(4, dtype=np.int32)), backend.empty(6, np.int32)
    order = backend.asarray(np.array([3, 3, 0, 3, 0, 0], np.int64))
    backend.gather(source, order, counters(backend), 6, out)
    assert backend.to_numpy(out).tolist() == [3, 3, 0, 3, 0, 0]


@pytest.mark.parametrize("source", [np.uint8, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("columns", [1, 3, 20, 300])
def test_gather_of_rows_that_are_not_there(backend, source, columns):
    """They come as NaN or -1, whether the order names them or has no such place itself."""
    real = np.dtype(np.float32 if source == np.uint8 else source)
    host = np.arange(5 * columns).reshape(5, columns).astype(source)
    order = np.array([4, -1, 5, 0, 2**40, -(2**40)], np.int64)
    nothing = np.nan if real.kind == "f" else -1
    scale = 255 if source == np.uint8 else 1
    nowhere = [(step, [None] * 4) for step in (1, -1, 2**61 - 1)]
    for step, there in [(0, [4, None, None, 0]), *nowhere]:
        out = backend.empty((4, columns), real)
        arrays_ = backend.asarray(host), backend.asarray(order), counters(backend, step)
        backend.gather(*arrays_, 4, out)
        got = backend.to_numpy(out)
        for row, place_ in zip(got, there, strict=True):
            want = np.full(columns, nothing) if place_ is None else host[place_] / scale
            np.testing.assert_allclose(row, want, rtol=1e-6)


def test_gather_of_no_rows(backend):
    out, source = backend.empty((0, 3), np.float32), backend.zeros((5, 3), np.float32)
    order = backend.asarray(np.arange(5))
    backend.gather(source, order, counters(backend), 4, out)
    backend.gather(backend.zeros((0, 3), np.float32), order, counters(backend), 4, out)
    rows = backend.zeros((2, 3), np.float32)
    backend.gather(backend.zeros((0, 3), np.float32), order, counters(backend), 4, rows)
    assert np.isnan(backend.to_numpy(rows)).all()
