"""What a trainer's file keeps of it, and what is refused before the old file is touched."""

from __future__ import annotations

import json
from collections import OrderedDict, namedtuple
from enum import IntEnum
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import nnkit
from nnkit import schedules

X, T = np.eye(6, 5, dtype=np.float32), np.arange(6) % 3


def trained(optimizer=None, **options):
    model = nnkit.Sequential(nnkit.Linear(5, 3), seed=1, backend="numpy")
    trainer = nnkit.Trainer(model, optimizer=optimizer or nnkit.SGD(0.1))
    trainer.fit(X, T, 2, 3, **options)
    return trainer


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.safetensors"


def again(trainer, path, **extra):
    trainer.save(path, **extra)
    return nnkit.Trainer.load(path, "numpy")


class Colour(IntEnum):
    RED = 3


Pair = namedtuple("Pair", "a b")


@pytest.mark.parametrize(
    ("given", "back"),
    [
        (np.float32(0.5), 0.5), (np.int64(3), 3), (np.bool_(True), True), (np.str_("a"), "a"),
        (np.float16(2), 2.0), (np.longdouble(0.25), 0.25), (Colour.RED, 3), (Path("a/b"), "a/b"),
        ((1, (2, "c")), [1, [2, "c"]]), (Pair(1, 2), [1, 2]),
        ({1: 2, np.int8(3): 4}, {"1": 2, "3": 4}),
        (OrderedDict(a=[None, True]), {"a": [None, True]}),
        (np.array(["zero", "one"]), ["zero", "one"]),
        ({"deep": [{"er": (np.int32(1),)}]}, {"deep": [{"er": [1]}]}),
    ],
    ids=str,
)  # fmt: skip
def test_extra_comes_back_as_python_has_it(path, given, back):
    kept = again(trained(), path, it=given).extra["it"]
    assert kept == back
    assert type(kept) is type(back)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6).reshape(2, 3), np.array(2.5), np.zeros((0, 4), np.float32),
        np.array([True, False]), np.arange(4, dtype=">i4"), np.arange(10.0)[::-2],
        np.float16([np.nan]),
    ],
    ids=lambda array: f"{array.dtype} {array.shape}",
)  # fmt: skip
def test_arrays_in_extra_come_back_as_arrays(path, array):
    kept = again(trained(), path, it=array, deep={"a.b": [array], "a": {"b": [array]}}).extra
    for back in (kept["it"], kept["deep"]["a.b"][0], kept["deep"]["a"]["b"][0]):
        np.testing.assert_array_equal(back, array)
        assert (back.dtype, back.shape) == (array.dtype.newbyteorder("="), array.shape)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1, 2}, r"it.a\[1\] cannot be saved: it is a builtins.set; a file keeps numbers"),
        (object, "cannot be saved: it is a builtins.type"),
        (1j, "builtins.complex"),
        (np.datetime64("2020"), "numpy.datetime64"),
        (np.array([None]), "an array of object"),
        (np.ma.array([1, 2], mask=[0, 1]), "a masked array; fill it first"),
        ({(1, 2): 3}, r"it.a\[1\] cannot be saved: \(1, 2\) is no key for a file"),
        ({"nnkit.tensor": "x"}, "'nnkit.tensor' is no key"),
    ],
    ids=str,
)
def test_what_cannot_be_saved_is_named_and_the_old_file_stays(path, value, message):
    trainer = trained()
    trainer.save(path, it="old")
    before = path.read_bytes()
    with pytest.raises(TypeError, match=message):
        trainer.save(path, it={"a": [0, value]})
    assert path.read_bytes() == before
    assert [*path.parent.iterdir()] == [path]


def test_what_contains_itself_cannot_be_saved(path):
    endless = []
    endless.append(endless)
    with pytest.raises(ValueError, match="is not written: its configuration contains itself"):
        trained().save(path, it=endless)


def test_what_is_nested_too_deeply_to_be_read_is_not_written(path):
    model = nnkit.Flatten()
    for _ in range(64):
        model = nnkit.Sequential(model, seed=0, backend="numpy")
    with pytest.raises(ValueError, match="is not written: it is nested more than 128 deep"):
        model.save(path)
    model[0].save(path)
    assert nnkit.load(path, "numpy").config() == model[0].config()


@pytest.mark.parametrize(
    "schedule",
    [
        schedules.StepDecay(np.int64(2)),
        schedules.StepDecay(np.ceil(2.5), np.float32(0.5)),
        schedules.Warmup(np.int32(2), schedules.Cosine(np.float32(0.1))),
        schedules.ExponentialDecay(np.float64(3)),
    ],
    ids=str,
)
def test_schedules_of_numpy_scalars(path, schedule):
    loaded = again(trained(schedule=schedule), path).schedule
    assert [loaded(i, 9) for i in range(9)] == [schedule(i, 9) for i in range(9)]


def test_a_learning_rate_that_became_a_numpy_scalar(path):
    trainer = trained()
    trainer.optimizer.lr *= np.float32(0.5)
    assert again(trainer, path).optimizer.lr == trainer.optimizer.lr


class Widths(nnkit.Layer):
    """A layer of the user's own, whose options are what NumPy gives."""

    options = ("widths", "factor")

    def __init__(self, widths, factor):
        self.widths, self.factor = np.asarray(widths), factor

    def forward(self, x):
        return x


def test_layers_of_numpy_values(path):
    model = nnkit.Sequential(Widths(np.arange(3), np.float32(0.1)), backend="numpy")
    model.save(path)
    loaded = nnkit.load(path, "numpy", custom_layers=[Widths])
    assert loaded[0].widths.tolist() == [0, 1, 2]
    assert loaded[0].factor == np.float32(0.1)


def test_figures_are_tensors_and_not_in_the_header(path):
    trainer = trained()
    trainer.history.step_loss = [0.1] * 300_000
    assert again(trainer, path).history == trainer.history
    with path.open("rb") as file:
        assert int.from_bytes(file.read(8), "little") < 10_000
    figures = load_file(path)["history.step_loss"]
    assert (figures.dtype, figures.shape) == (np.float64, (300_000,))


def test_a_configuration_that_is_too_long_is_refused(path, monkeypatch):
    monkeypatch.setattr("nnkit.checkpoint.LONGEST", 5000)
    with pytest.raises(ValueError, match=r"takes 9,\d+ characters, more than 5,000; long lists"):
        trained().save(path, it=[0] * 3000)
    assert not path.exists()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_state_that_is_lost_does_not_replace_a_good_one(path, value):
    trainer = trained(nnkit.SGD(0.1, momentum=0.9))
    trainer.save(path)
    before = path.read_bytes()
    trainer.model[0].W.value[2, 1] = value
    message = r"model.0.weight holds NaN or infinity: training has diverged, and .* is not written"
    for saved in (trainer, trainer.model):
        with pytest.raises(ValueError, match=message):
            saved.save(path)
    assert path.read_bytes() == before


def test_files_of_the_first_format_are_read(path):
    """They have the history in the configuration, and no checksum."""
    trainer = trained(validation_data=(X, T))
    trainer.save(path, note="old")
    tensors = load_file(path)
    with safe_open(path, "numpy") as file:
        config = json.loads(file.metadata()["nnkit"])
    old = {name: x for name, x in tensors.items() if not name.startswith("history.")}
    history = {name: values.tolist() for name, values in trainer.history.state().items()}
    config |= {"version": 1, "history": history}
    save_file(old, path, {"format": "nnkit", "nnkit": json.dumps(config)})
    loaded = nnkit.Trainer.load(path, "numpy")
    assert loaded.history == trainer.history
    assert loaded.extra == {"note": "old"}
    loaded.resume(X, T, 3)
    trainer.resume(X, T, 3)
    assert loaded.history.step_loss == trainer.history.step_loss
