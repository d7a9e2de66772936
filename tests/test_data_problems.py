"""Small problems: the same points for the same seed, as large and as noisy as asked for."""

import numpy as np
import pytest

from nnkit.data import problem
from nnkit.data.problems import GATES, PROBLEMS

DRAWN = [name for name in PROBLEMS if name not in GATES]


@pytest.mark.parametrize("name", GATES)
def test_gates_are_their_four_points(name):
    x, t = problem(name, points=7, noise=1, seed=3)
    function = {
        "and": lambda a, b: a and b,
        "nand": lambda a, b: not (a and b),
        "or": lambda a, b: a or b,
        "xor": lambda a, b: a != b,
    }[name]
    assert (x.dtype, t.dtype, x.shape) == (np.float32, np.int64, (4, 2))
    assert sorted(map(tuple, x.tolist())) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [bool(function(*point)) for point in x] == t.astype(bool).tolist()


@pytest.mark.parametrize("name", DRAWN)
def test_points_follow_seed_number_and_noise(name):
    x, t = problem(name, 31, 0.0, seed=2)
    again, _ = problem(name, 31, 0.0, seed=2)
    np.testing.assert_array_equal(x, again)
    assert len(x) == len(t) == 31
    assert x.dtype == np.float32
    assert np.abs(x).max() <= 1.0001
    noisy = problem(name, 31, 0.3, seed=2)[name == "sine"]
    exact = (x, t)[name == "sine"]
    assert 0.15 < np.std(noisy - exact) < 0.45
    other = problem(name, 31, 0.1, seed=5)[0]
    assert (other != problem(name, 31, 0.1, seed=2)[0]).any()


@pytest.mark.parametrize("name", ["circles", "moons", "spirals"])
def test_points_are_of_two_classes_that_do_not_meet(name):
    x, t = problem(name, 400, noise=0.0)
    assert np.bincount(t).tolist() == [200, 200]
    apart = np.linalg.norm(x[t == 0][:, None] - x[t == 1][None], axis=-1)
    assert apart.min() > 0.03


def test_the_sine_is_one():
    x, t = problem("sine", 50, noise=0)
    assert (x.shape, t.shape, t.dtype) == ((50, 1), (50, 1), np.float32)
    np.testing.assert_allclose(t, np.sin(np.pi * x), atol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": "xnor"}, "xnor"),
        ({"points": 0}, "points"),
        ({"noise": -1}, "noise"),
        ({"noise": float("nan")}, "noise"),
        ({"seed": -1}, "seed"),
    ],
)
def test_what_is_out_of_range_is_named(wrong, words):
    with pytest.raises(ValueError, match=words):
        problem(**{"name": "moons", **wrong})
