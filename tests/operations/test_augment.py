"""Augmentation: every picture against a formula in float64, and how often each change occurs."""

from __future__ import annotations

from math import cos, floor, pi, sin

import numpy as np
import pytest

from nnkit.backends.contract import Changes
from nnkit.backends.numpy.philox import uniform
from tests.helpers import assert_close, counters, random_array

KEY, STREAM = 2**33 + 7, 2**32 + 3
ALL = Changes(shift=2, flip=0.5, turn=0.25, scale=0.3, cutout=3)
SHAPES = [(5, 8, 8), (3, 7, 5, 3), (2, 1, 9, 2), (2, 28, 28, 1), (1, 30, 1, 2)]


def tent(distance):
    return np.maximum(0, 1 - abs(distance))


def one(x, changes, u):
    """A picture (height, width, channels) pixel by pixel, by the words of the contract."""
    height, width, _ = x.shape
    down, right = (floor((2 * changes.shift + 1) * u[k]) - changes.shift for k in (0, 1))
    angle, size = pi * changes.turn * (2 * u[5] - 1), 1 + changes.scale * (2 * u[6] - 1)
    flipped = x[:, ::-1] if u[4] < changes.flip else x
    top, left = (
        floor(height * u[2]) - changes.cutout // 2,
        floor(width * u[3]) - changes.cutout // 2,
    )
    out = np.zeros(x.shape)
    for i, j in np.ndindex(height, width):
        if top <= i < top + changes.cutout and left <= j < left + changes.cutout:
            continue
        y, z = i - down - (height - 1) / 2, j - right - (width - 1) / 2
        row = (cos(angle) * y + sin(angle) * z) / size + (height - 1) / 2
        column = (cos(angle) * z - sin(angle) * y) / size + (width - 1) / 2
        near = tent(row - np.arange(height)), tent(column - np.arange(width))
        out[i, j] = np.einsum("a,b,abc->c", *near, flipped)
    return out


def augmented(backend, x, changes, key=KEY, stream=STREAM, first=0):
    out = backend.empty(x.shape, x.dtype)
    backend.augment(backend.asarray(x), changes, key, counters(backend, 5, 6, stream), out, first)
    return np.array(backend.to_numpy(out))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_augment(backend, dtype, rng, shape):
    x = random_array(rng, shape).astype(dtype)
    u = uniform(8 * len(x), KEY, STREAM).reshape(-1, 8).astype(float)
    for name in ("all", *Changes._fields):
        changes = ALL if name == "all" else Changes(**{name: getattr(ALL, name)})
        pictures = x.astype(float).reshape((*shape, 1)[:4])
        want = [one(*picture) for picture in zip(pictures, [changes] * len(x), u, strict=True)]
        got = augmented(backend, x, changes)
        places = max(shape) if dtype == np.float64 else 1  # which are computed in float64
        assert_close(got, np.reshape(want, shape), dtype, 16, places, name)
        if not (changes.turn or changes.scale):
            assert got.tobytes() == np.reshape(want, shape).astype(dtype).tobytes(), name


@pytest.mark.parametrize("changes", [ALL, Changes(2, 0.5, cutout=3)], ids=["between", "whole"])
def test_augment_is_compared_with_the_reference(check, rng, changes):
    """Outputs between guards, inputs unchanged, the same bits again."""
    check(
        lambda b, v: b.augment(v.x, changes, KEY, counters(b, forwards=3), v.y),
        {"x": random_array(rng, (9, 11, 6, 3))},
        {"y": (9, 11, 6, 3)},
        ulps=16,
    )


def test_no_change_is_a_copy(backend, dtype, rng):
    x = random_array(rng, (3, 5, 4, 2)).astype(dtype)
    x[0, 0, 0, 0] = np.nan
    np.testing.assert_array_equal(augmented(backend, x, Changes()).astype(float), x.astype(float))


def test_a_picture_may_leave_the_frame(backend, dtype):
    """A shift, a square and a turn of any size: nothing beside the picture is read."""
    x = np.ones((40, 3, 2), dtype)
    got = augmented(backend, x, Changes(shift=9, flip=1.0))
    assert {0.0, 1.0} == {*got.astype(float).ravel().tolist()}
    assert (got.reshape(40, -1) == 0).all(axis=1).any()
    assert not augmented(backend, x, Changes(cutout=50)).astype(float).any()
    assert np.isfinite(augmented(backend, x, Changes(9, turn=1.0, scale=0.9)).astype(float)).all()


def test_every_shift_and_each_side_as_often_as_another(backend):
    n = 2000
    x = np.zeros((n, 7, 7), np.float32)
    x[:, 3, 3], x[:, 3, 2] = 2, 1
    got = augmented(backend, x, Changes(shift=2, flip=0.25))
    _, rows, columns = np.nonzero(got == 2)
    assert len(rows) == n
    for places in (rows, columns):
        assert abs(np.bincount(places, minlength=7)[1:6] - n / 5).max() < 5 * np.sqrt(n * 0.16)
    assert np.bincount(7 * rows + columns).astype(bool).sum() == 25
    left = columns - np.nonzero(got == 1)[2]
    assert {*left.tolist()} == {1, -1}
    assert abs((left == -1).mean() - 0.25) < 5 * np.sqrt(0.19 / n)


def test_turns_and_sizes_reach_their_ends(backend):
    """A bright pixel away from the centre goes round, and out and in, as far as it is told."""
    n = 2000
    x = np.zeros((n, 41, 41))
    x[:, 20, 32] = 1
    rows, columns = np.arange(41)[:, None], np.arange(41)

    def place(changes):
        y = augmented(backend, x, changes)
        mass = y.sum(axis=(1, 2))
        return (y * rows).sum(axis=(1, 2)) / mass - 20, (y * columns).sum(axis=(1, 2)) / mass - 20

    down, right = place(Changes(turn=0.25))
    angles = np.degrees(np.arctan2(down, right))
    assert np.ptp(angles) > 88
    assert abs(angles).max() < 47
    assert abs(np.mean(angles)) < 3
    np.testing.assert_allclose(np.hypot(down, right), 12, atol=0.5)
    down, right = place(Changes(scale=0.25))
    np.testing.assert_allclose(down, 0, atol=1e-6)
    assert right.min() < 9.5
    assert right.max() > 14.5


def test_squares_are_cut_out_everywhere(backend):
    got = augmented(backend, np.ones((2000, 6, 6), np.float32), Changes(cutout=3))
    cut = got == 0
    assert 4 == cut.sum(axis=(1, 2)).min() < cut.sum(axis=(1, 2)).max() == 9
    assert cut.any(axis=0).all()


def test_pictures_differ_between_places_steps_and_keys(backend):
    x = np.tile(np.arange(35, dtype=np.float32).reshape(5, 7), (6, 1, 1))
    found = [
        augmented(backend, x, ALL, key, stream) for key, stream in [(1, 0), (1, 1), (2, 0), (1, 0)]
    ]
    assert len({picture.tobytes() for batch in found[:3] for picture in batch}) == 18
    assert found[0].tobytes() == found[3].tobytes()


def test_a_picture_is_the_same_whatever_others_there_are(backend, rng):
    x = random_array(rng, (7, 5, 5)).astype(np.float32)
    whole = augmented(backend, x, ALL)
    for first, last in ((0, 3), (3, 7), (4, 4)):
        part = augmented(backend, x[first:last], ALL, first=first)
        assert part.tobytes() == whole[first:last].tobytes()
