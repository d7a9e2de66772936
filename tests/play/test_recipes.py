"""Networks that are trained in seconds, and kept."""

from dataclasses import replace

import numpy as np
import pytest

import nnkit
from nnkit.backends import get_backend
from nnkit.data import DataError, load
from nnkit.play.drawing import big_digits, recipes


@pytest.fixture
def quick(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    rng = np.random.default_rng(0)
    examples = rng.integers(0, 256, (128, 28, 28), np.uint8), rng.integers(10, size=128)
    monkeypatch.setattr(recipes, "_examples", lambda data: examples)
    for name, recipe in recipes.RECIPES.items():
        once = replace(recipe, epochs={"mnist": 1, "digits": 1})
        monkeypatch.setitem(recipes.RECIPES, name, once)
    return tmp_path


def made(calls, name="mlp", data="digits"):
    return recipes.made(name, data, nnkit.get_backend("numpy"), lambda: calls.append(name))


def test_a_network_is_trained_once(quick):
    calls = []
    first, second = made(calls), made(calls)
    assert calls == ["mlp"]
    x = first.extra["rehearsal"]
    assert (first.predict_proba(x) == second.predict_proba(x)).all()
    assert len(second.extra["rehearsal_labels"]) == 128


@pytest.mark.parametrize("content", [b"", b"no network", None])
def test_a_damaged_file_is_replaced(quick, content):
    calls = []
    made(calls)
    (file,) = (quick / "nnkit" / "play").iterdir()
    file.write_bytes(file.read_bytes()[:-100] if content is None else content)
    made(calls)
    made(calls)
    assert calls == ["mlp", "mlp"]


def test_other_data_another_recipe_and_another_version_are_other_files(quick, monkeypatch):
    calls = []
    made(calls)
    made(calls, data="mnist")
    monkeypatch.setattr(nnkit, "__version__", "0.0.0+another")
    made(calls)
    monkeypatch.setattr(recipes, "CHANGES", ())
    made(calls)
    assert len(calls) == 4


def test_a_cache_that_cannot_be_written_does_no_harm(quick, monkeypatch):
    (quick / "nnkit").write_text("in the way")
    calls = []
    made(calls)
    made(calls)
    assert calls == ["mlp", "mlp"]


def test_without_mnist_it_is_digits(quick, monkeypatch):
    def refused(name):
        raise DataError("no network")

    said = []
    monkeypatch.delenv("NNKIT_DATA_DIR", raising=False)
    monkeypatch.setattr(recipes, "load", refused)
    assert recipes.source(get_backend(), said.append) == "digits"
    assert "no network" in said[-1]
    made([], recipes.first(nnkit.get_backend()))
    said.clear()
    assert recipes.source(get_backend(), said.append) == "digits"
    assert not said


def test_digits_become_like_mnists():
    data = load("digits")
    few = data.shaped(64)
    few = type(data)(
        **{**vars(few), "x_train": few.x_train[:30], "t_train": few.t_train[:30]},
    )
    images, labels = big_digits.as_mnist(few, copies=1)
    assert images.shape == (30 + len(data.x_test), 28, 28)
    assert (labels[:30] == data.t_train[:30]).all()
    inked = [np.ptp(np.nonzero(image > 30), axis=1).max() + 1 for image in images]
    assert max(inked) <= 20
    assert np.median(inked) >= 19
    assert images.dtype == np.uint8
    again, _ = big_digits.as_mnist(few, copies=1)
    assert (again == images).all()
