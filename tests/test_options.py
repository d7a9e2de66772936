"""Options are checked where they are given and where they are changed, and are plain numbers."""

from __future__ import annotations

import inspect
import json
import pickle

import numpy as np
import pytest

import nnkit
from nnkit import initializers, schedules
from nnkit.given.options import Option, flag, integer, number, pair
from nnkit.loading import LAYER_CLASSES
from nnkit.losses import LOSS_CLASSES
from nnkit.optimizers import OPTIMIZERS

CLASSES = [*LAYER_CLASSES.values(), *LOSS_CLASSES.values(), *OPTIMIZERS.values()]
CLASSES += [cls for cls in schedules.SCHEDULES.values() if cls is not schedules.Missing]
NEEDED = {"in_features": 4, "out_features": 3, "num_features": 3, "every": 2, "scale": 5.0}
NEEDED |= {"updates": 2, "in_channels": 1, "out_channels": 1, "kernel_size": 1, "size": 1}
NEEDED |= {"height": 2, "width": 2}


def declared(cls):
    """The options of a class, by name."""
    found = {name: x for base in reversed(cls.__mro__) for name, x in vars(base).items()}
    return {name: option for name, option in found.items() if isinstance(option, Option)}


def make(cls, **options):
    return cls(**{k: v for k, v in NEEDED.items() if k in declared(cls)} | options)


OPTIONS = [(cls, name) for cls in CLASSES for name in declared(cls)]
IDS = [f"{cls.__name__}-{name}" for cls, name in OPTIONS]


def test_every_option_that_a_file_keeps_is_checked():
    """But for containers, whose layers are checked."""
    for cls in CLASSES:
        assert {*getattr(cls, "options", ())} <= declared(cls).keys(), cls
    assert len(OPTIONS) > 60


@pytest.mark.parametrize(("cls", "name"), OPTIONS, ids=IDS)
def test_of_another_kind(cls, name):
    wrong = ["x", "0.1", [0.5], np.array([0.5]), 1j, nnkit.ReLU, schedules.Cosine()]
    if inspect.signature(cls).parameters[name].default is not None:
        wrong.append(None)
    for value in wrong:
        error = (TypeError, ValueError) if np.ndim(value) else TypeError  # a pair has another size
        with pytest.raises(error, match=rf"^{cls.__name__}: {name} must be .*, not "):
            make(cls, **{name: value})


@pytest.mark.parametrize(("cls", "name"), OPTIONS, ids=IDS)
def test_of_numpy(cls, name):
    """NumPy's scalars, and arrays without dimensions, are kept as the numbers that they are."""
    value = getattr(make(cls), name)
    if value is None:
        value = 1.0
    for given in (np.array(value), np.array(value)[()]):
        kept = getattr(make(cls, **{name: given}), name)
        assert type(kept) is type(value)
        assert kept == value
        json.dumps(kept)


@pytest.mark.parametrize(("cls", "name"), OPTIONS, ids=IDS)
def test_that_are_no_finite_numbers(cls, name):
    for value in (np.nan, np.inf, -np.inf, 10**400):
        with pytest.raises((TypeError, ValueError), match=f"^{cls.__name__}: {name} must be "):
            make(cls, **{name: value})


def test_changed_ones_are_checked_and_plain():
    optimizer, layer = nnkit.SGD(0.1), nnkit.Dropout(0.5)
    optimizer.lr *= np.float32(0.5)
    assert type(optimizer.lr) is float
    with pytest.raises(ValueError, match=r"^Dropout: p must be at least 0 and below 1, not 2$"):
        layer.p = 2
    with pytest.raises(
        TypeError, match=r"^SGD: lr must be a number that is at least 0, not 'fast'$"
    ):
        optimizer.lr = "fast"
    assert (optimizer.lr, layer.p) == (pytest.approx(0.05), 0.5)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        (integer(least=1), 2.5, "an integer of at least 1, not 2.5"),
        (integer(), "3", "an integer, not '3'"),
        (integer(least=1), True, "an integer of at least 1, not True"),
        (number(), None, "a number, not None"),
        (number(), np.inf, "finite, not inf"),
        (number(above=0), 0, "positive, not 0"),
        (number(above=0), np.nan, "positive and finite, not nan"),
        (number(above=0), "1", "a positive number, not '1'"),
        (number(above=0, none=True), -1, "positive or None, not -1"),
        (number(least=0, below=1), 1, "at least 0 and below 1, not 1"),
        (number(least=0, below=1), "1", "a number that is at least 0 and below 1, not '1'"),
        (number(above=0, most=1), 1.5, "above 0 and at most 1, not 1.5"),
        (number(above=0, hint=(str, "no text")), "a", "a positive number, not 'a'; no text"),
        (flag(), 1, "True or False, not 1"),
        (pair(least=1), "3", "an integer of at least 1 or a pair of them (height, width), not '3'"),
        (
            pair(least=1),
            True,
            "an integer of at least 1 or a pair of them (height, width), not True",
        ),
        (pair(least=1), 0, "an integer of at least 1, not 0"),
        (pair(least=1), 1.5, "an integer of at least 1, not 1.5"),
        (pair(least=1), (2, 0), "an integer of at least 1, not 0"),
        (pair(least=1), [2, "a"], "an integer of at least 1, not 'a'"),
        (
            pair(least=0, words=("same",)),
            (1, 2, 3),
            "an integer of at least 0, a pair of them (height, width) or 'same', not (1, 2, 3)",
        ),
        (
            pair(least=0, words=("same",)),
            "Same",
            "an integer of at least 0, a pair of them (height, width) or 'same', not 'Same'",
        ),
        (
            pair(least=0),
            None,
            "an integer of at least 0 or a pair of them (height, width), not None",
        ),
        (number(), np.ones((20, 9)), "a number, not array([[1., 1., 1., 1., 1., 1., 1., 1., 1."),
    ],
)
def test_messages(option, value, message):
    with pytest.raises((TypeError, ValueError)) as raised:
        option.checked("A: b", value)
    assert str(raised.value).startswith(f"A: b must be {message}")
    assert len(str(raised.value)) < 120


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (3, (3, 3)),
        (3.0, (3, 3)),
        (np.int64(3), (3, 3)),
        (np.array(3), (3, 3)),
        ((1, 2), (1, 2)),
        ([1, np.int8(2)], (1, 2)),
        (np.array([1, 2]), (1, 2)),
        ("same", "same"),
        (None, None),
    ],
)
def test_pairs_are_plain(value, kept):
    given = pair(least=1, words=("same",), none=True).checked("A: b", value)
    assert given == kept
    assert json.loads(json.dumps(given)) == (list(kept) if isinstance(kept, tuple) else kept)
    assert not isinstance(given, tuple) or [type(number) for number in given] == [int, int]


def test_whole_floats_are_integers():
    assert repr(schedules.StepDecay(np.ceil(1.5))) == "StepDecay(every=2, factor=0.1)"


def test_a_schedule_as_a_learning_rate():
    with pytest.raises(TypeError, match=r"given to Trainer\.fit\(schedule=\.\.\.\)$"):
        nnkit.Adam(schedules.Cosine())


def test_schedules_are_values():
    one = schedules.Warmup(np.int64(3), schedules.StepDecay(2))
    assert one == schedules.Warmup(3, schedules.StepDecay(2)) == pickle.loads(pickle.dumps(one))
    assert len({one, schedules.Warmup(3, schedules.StepDecay(2))}) == 1
    with pytest.raises(AttributeError, match="cannot assign to field 'updates'"):
        one.updates = 5
    with pytest.raises(TypeError, match=r"Warmup: then is the class Cosine: write Cosine\("):
        schedules.Warmup(3, schedules.Cosine)
    with pytest.raises(TypeError, match=r"^StepDecay lacks every: write StepDecay\(every\)$"):
        schedules.StepDecay()


@pytest.mark.parametrize(
    ("init", "error", "message"),
    [
        ("hee", ValueError, "unknown initialiser 'hee'.*did you mean he?"),
        ("glorot_uniform", ValueError, "did you mean xavier?"),
        (["a"], TypeError, r"must be a name \(zeros, .* or an array of numbers, not \['a'\]"),
        ([[np.nan]], ValueError, "initial values hold NaN"),
        (initializers.normal, TypeError, r"normal makes an initialiser: write normal\("),
    ],
)
def test_initial_values(init, error, message):
    with pytest.raises(error, match=message):
        nnkit.Linear(1, 1, init=init)


def test_arguments_of_initialisers():
    with pytest.raises(ValueError, match="normal: deviation must be at least 0, not -1"):
        initializers.normal(-1)
    with pytest.raises(TypeError, match="constant: value must be a number, not 'a'"):
        initializers.constant("a")


def test_parameters():
    class Scale(nnkit.Layer):
        def __init__(self):
            self.s = nnkit.Parameter(np.int64(2), "ones")

        def forward(self, x):
            return self.s.value * x

    assert nnkit.Sequential(Scale(), backend="numpy")([[2.0, 3.0]]).tolist() == [[2, 3]]
    with pytest.raises(ValueError, match=r"Parameter: shape must be an integer of at least 0, not"):
        nnkit.Parameter((1.5,), "ones")
    with pytest.raises(ValueError, match=r"unknown initialiser 'one'.*did you mean ones\?"):
        nnkit.Parameter((1,), "one")


@pytest.mark.parametrize(("name", "value"), [("seed", 1.5), ("seed", "a"), ("fuse", "no")])
def test_of_a_model(name, value):
    with pytest.raises((TypeError, ValueError), match=f"^Sequential: {name} must be "):
        nnkit.Sequential(nnkit.ReLU(), **{name: value})
