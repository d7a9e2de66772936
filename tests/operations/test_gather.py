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
