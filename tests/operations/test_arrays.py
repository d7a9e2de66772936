"""Arrays: what is not carried out but made, moved, copied and waited for."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers import LAYOUTS, place, random_array


def test_owns(backend):
    array = backend.empty(3, np.float32)
    assert backend.owns(array)
    assert not backend.owns([1.0, 2.0])
    assert not backend.owns(1.0)
    assert backend.owns(np.ones(3)) == (backend.xp is np)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64, np.uint8, np.bool_])
def test_asarray(backend, dtype):
    host = np.arange(6).reshape(2, 3).astype(dtype)
    array = backend.asarray(host)
    assert backend.owns(array)
    assert array.dtype == dtype
    assert np.array_equal(backend.to_numpy(array), host)
    assert backend.asarray(array) is array
    assert backend.asarray(array, dtype) is array


def test_asarray_converts_and_copies_where_it_must(backend):
    host = np.arange(6, dtype=np.float64).reshape(2, 3)
    for array in (backend.asarray(host.T), backend.asarray(backend.asarray(host).T)):
        assert array.flags.c_contiguous
        assert np.array_equal(backend.to_numpy(array), host.T)
    for source in (host, backend.asarray(host)):
        assert backend.asarray(source, np.float32).dtype == np.float32
    assert backend.to_numpy(backend.asarray([[1, 2], [3, 4]], np.int32)).tolist() == [
        [1, 2],
        [3, 4],
    ]
    assert backend.asarray(2.5, np.float64).shape == ()
    assert backend.asarray(np.empty((0, 4))).shape == (0, 4)


def test_to_numpy(backend, dtype, rng):
    host = random_array(rng, (4, 5), dtype)
    for layout in ("contiguous", *LAYOUTS):
        array = backend.to_numpy(place(backend, host, layout))
        assert type(array) is np.ndarray
        assert array.dtype == dtype
        assert np.array_equal(array, host)


def test_empty(backend, dtype):
    for shape in (3, (2, 3), (0, 3), ()):
        array = backend.empty(shape, dtype)
        assert array.shape == (shape if isinstance(shape, tuple) else (shape,))
        assert array.dtype == dtype
        assert array.flags.c_contiguous


def test_zeros(backend, dtype):
    array = backend.zeros((2, 3), dtype)
    assert array.dtype == dtype
    assert np.array_equal(backend.to_numpy(array), np.zeros((2, 3)))


def test_synchronize(backend):
    array = backend.activation("relu", backend.asarray([-1.0, 2.0]))
    backend.synchronize()
    assert backend.to_numpy(array).tolist() == [0, 2]


def test_room(backend):
    assert backend.room() > 0


def test_copy_from_host(backend, dtype, rng):
    host = rng.normal(size=(5, 3)).astype(dtype)
    out = backend.empty((9, 3), dtype)
    copy = backend.copy_from_host(host, out[2:7])
    backend.wait_for(copy)
    np.testing.assert_array_equal(backend.to_numpy(out[2:7]), host)


def test_wait_for(backend, dtype):
    """Of two copies into one place, waited for in their order, the second stays."""
    out = backend.empty(3, dtype)
    for value in (1, 2):
        backend.wait_for(backend.copy_from_host(np.full(3, value, dtype), out))
    assert backend.to_numpy(out + 0).tolist() == [2, 2, 2]
