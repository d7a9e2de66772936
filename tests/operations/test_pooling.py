"""The largest, and the sum, of each window of an image, against plain loops."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from nnkit.backends.contract import Window
from tests.helpers import random_array
from tests.operations import plain_windows
from tests.operations.shared import quarters

WINDOWS = {
    "halves": ((6, 8), Window((2, 2), (2, 2))),
    "rows left over": ((7, 11), Window((2, 3), (2, 3))),
    "gaps between": ((9, 8), Window((2, 2), (3, 4))),
    "side by side": ((5, 9), Window((3, 3), (1, 1), (1, 1))),
    "overlapping": ((8, 7), Window((3, 3), (2, 2), (1, 1))),
    "uneven": ((7, 10), Window((3, 2), (2, 1), (1, 1))),
    "one by one": ((3, 5), Window((1, 1))),
    "every other": ((5, 6), Window((1, 1), (2, 3))),
    "whole image": ((5, 7), Window((5, 7))),
    "larger than the image": ((2, 3), Window((4, 5), (4, 5), (2, 2))),
    "spread": ((9, 8), Window((3, 2), (1, 2), (1, 1), (2, 3))),
    "spread and apart": ((12, 11), Window((3, 3), (4, 2), (1, 0), (2, 4))),
    "one pixel": ((1, 1), Window((2, 2), (1, 1), (1, 1))),
    "a line": ((1, 40), Window((1, 3), (1, 2), (0, 1))),
    "a column": ((40, 1), Window((3, 1), (2, 1), (1, 0))),
}
EVERYWHERE = [37]
"""Channels: several vectors with a part of one."""
SOMEWHERE = [1, 2, 3, 6, 16, 21, 70]
SIZES = [
    *product(WINDOWS, EVERYWHERE),
    *product(["halves", "side by side", "overlapping"], SOMEWHERE),
]
windows = pytest.mark.parametrize("name", WINDOWS)
sizes = pytest.mark.parametrize(("name", "channels"), SIZES)


@sizes
def test_max_pool(check, rng, name, channels):
    image, window = WINDOWS[name]
    there = plain_windows.places(image, window)
    x, y = quarters(rng, 2, *image, channels), (2, *there, channels)
    got = check(
        lambda b, v: b.max_pool(v.x, window, v.y, v.place),
        {"x": x},
        {"y": y, "place": np.full(y, 7, np.uint8)},
        ulps=0,
    )
    largest, number = plain_windows.max_pool(x, window, there)
    assert np.array_equal(got["y"], largest)
    assert np.array_equal(got["place"], number), "the first of equals"


@sizes
def test_max_pool_backward(check, rng, name, channels):
    image, window = WINDOWS[name]
    y, x = (2, *plain_windows.places(image, window), channels), (2, *image, channels)
    dy, place = quarters(rng, *y), rng.integers(0, window.size[0] * window.size[1], y)
    got = check(
        lambda b, v: b.max_pool_backward(v.dy, v.place, window, v.dx),
        {"dy": dy, "place": place.astype(np.uint8)},
        {"dx": x},
        ulps=0,
    )
    assert np.array_equal(got["dx"], plain_windows.max_pool_backward(dy, place, window, x))


@sizes
def test_average_pool(check, rng, name, channels):
    image, window = WINDOWS[name]
    there = plain_windows.places(image, window)
    x = quarters(rng, 2, *image, channels)
    y = {"y": (2, *there, channels)}
    got = check(lambda b, v: b.average_pool(v.x, window, 4, v.y), {"x": x}, y, ulps=0)
    assert np.array_equal(got["y"], plain_windows.average_pool(x, window, 4, there))
    check(lambda b, v: b.average_pool(v.x, window, 7, v.y), {"x": x}, y, ulps=1)


@sizes
def test_average_pool_backward(check, rng, name, channels):
    image, window = WINDOWS[name]
    dy = quarters(rng, 2, *plain_windows.places(image, window), channels)
    x = 2, *image, channels
    dx = {"dx": x}
    got = check(lambda b, v: b.average_pool_backward(v.dy, window, 4, v.dx), {"dy": dy}, dx, ulps=0)
    assert np.array_equal(got["dx"], plain_windows.average_pool_backward(dy, window, 4, x))
    check(lambda b, v: b.average_pool_backward(v.dy, window, 7, v.dx), {"dy": dy}, dx, ulps=8)


@windows
def test_places_of_four_bytes(check, rng, name):
    """For windows that a byte has not enough numbers for."""
    image, window = WINDOWS[name]
    x, y = quarters(rng, 2, *image, 5), (2, *plain_windows.places(image, window), 5)
    outputs = {"y": y, "place": np.full(y, -7, np.int32)}
    got = check(lambda b, v: b.max_pool(v.x, window, v.y, v.place), {"x": x}, outputs, ulps=0)
    assert np.array_equal(got["place"], plain_windows.max_pool(x, window, y[1:3])[1])
    check(
        lambda b, v: b.max_pool_backward(v.dy, v.place, window, v.dx),
        {"dy": quarters(rng, *y), "place": got["place"]},
        {"dx": x.shape},
        ulps=0,
    )


def test_a_place_beyond_a_byte(check):
    x, window = np.zeros((1, 20, 30, 3)), Window((20, 30))
    x[0, 19, 29, 1] = x[0, 9, 5, 2] = 1
    outputs = {"y": (1, 1, 1, 3), "place": np.full((1, 1, 1, 3), -7, np.int32)}
    got = check(lambda b, v: b.max_pool(v.x, window, v.y, v.place), {"x": x}, outputs, ulps=0)
    assert got["place"].ravel().tolist() == [0, 599, 275]


@pytest.mark.parametrize("channels", [1, 6])
def test_max_pool_at_extremes(check, dtype, channels):
    """All pairs of them, and of four all that holds NaN: the first NaN, else the first largest."""
    ends = np.array([0.0, -0.0, 1e-30, -20, 1e4, np.inf, -np.inf, np.nan])
    pixels = np.array([*product(ends, repeat=4)]).reshape(-1, 2, 2, 1)
    x, window = np.tile(pixels, channels), Window((2, 2))
    y = len(x), 1, 1, channels
    outputs = {"y": y, "place": np.full(y, 7, np.uint8)}
    got = check(lambda b, v: b.max_pool(v.x, window, v.y, v.place), {"x": x}, outputs, ulps=0)
    largest, number = plain_windows.max_pool(x.astype(dtype), window, (1, 1))
    is_nan = np.isnan(largest)
    assert np.array_equal(np.isnan(got["y"]), is_nan)
    assert got["y"][~is_nan].tobytes() == largest[~is_nan].astype(dtype).tobytes(), "-0 as it is"
    assert np.array_equal(got["place"], number)


def test_what_is_outside_is_never_the_largest(check):
    x, window = np.full((1, 3, 3, 2), -np.inf), Window((3, 3), (1, 1), (1, 1))
    outputs = {"y": x.shape, "place": np.full(x.shape, 7, np.uint8)}
    got = check(lambda b, v: b.max_pool(v.x, window, v.y, v.place), {"x": x}, outputs, ulps=0)
    assert (got["y"] == -np.inf).all()
    assert got["place"][0, :, :, 0].tolist() == [[4, 3, 3], [1, 0, 0], [1, 0, 0]]


def test_sums_of_infinities(check):
    x = np.zeros((1, 2, 4, 1))
    x[0, 0, :, 0] = np.inf, -np.inf, np.inf, np.nan
    window = Window((2, 2), (2, 2))
    with np.errstate(invalid="ignore"):
        got = check(lambda b, v: b.average_pool(v.x, window, 4, v.y), {"x": x}, {"y": (1, 1, 2, 1)})
    assert np.isnan(got["y"]).all()


def test_a_gradient_of_nan_stays_where_it_belongs(check):
    dy, place = np.full((1, 2, 2, 3), np.nan), np.full((1, 2, 2, 3), 3, np.uint8)
    dy[0, 0, 0] = np.inf
    got = check(
        lambda b, v: b.max_pool_backward(v.dy, v.place, Window((2, 2), (2, 2)), v.dx),
        {"dy": dy, "place": place},
        {"dx": (1, 4, 4, 3)},
    )
    assert np.isnan(got["dx"]).sum() == 9
    assert (got["dx"][0, 1, 1] == np.inf).all()


@windows
def test_no_images(check, name):
    image, window = WINDOWS[name]
    y, x = (0, *plain_windows.places(image, window), 3), (0, *image, 3)
    place = np.zeros(y, np.uint8)
    given = {"x": np.zeros(x)}
    check(lambda b, v: b.max_pool(v.x, window, v.y, v.place), given, {"y": y, "place": place})
    check(lambda b, v: b.average_pool(v.x, window, 4, v.y), given, {"y": y})
    check(
        lambda b, v: b.max_pool_backward(v.dy, v.place, window, v.dx),
        {"dy": np.zeros(y), "place": place},
        {"dx": x},
    )


@pytest.mark.parametrize("name", ["halves", "overlapping", "whole image", "spread"])
@pytest.mark.parametrize("channels", [1, 6, 37])
def test_bits_do_not_depend_on_the_batch(backend, dtype, rng, name, channels):
    """An image alone, and among others, gives the same."""
    image, window = WINDOWS[name]
    there = plain_windows.places(image, window)
    x = random_array(rng, (5, *image, channels), dtype)
    dy = random_array(rng, (5, *there, channels), dtype)

    def of(images: slice) -> list[np.ndarray]:
        given, gradient = backend.asarray(x[images].copy()), backend.asarray(dy[images].copy())
        y, mean = (backend.empty(gradient.shape, dtype) for _ in range(2))
        dx, spread = (backend.empty(given.shape, dtype) for _ in range(2))
        place = backend.empty(y.shape, np.uint8)
        backend.max_pool(given, window, y, place)
        backend.max_pool_backward(gradient, place, window, dx)
        backend.average_pool(given, window, 7, mean)
        backend.average_pool_backward(gradient, window, 7, spread)
        return [backend.to_numpy(array) for array in (y, place, dx, mean, spread)]

    whole = of(slice(None))
    for i in range(5):
        for among, alone in zip(whole, of(slice(i, i + 1)), strict=True):
            assert among[i].tobytes() == alone[0].tobytes()
