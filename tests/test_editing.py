"""A model is a list of layers: changing it, refused changes, and changes in the middle of fit."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import nnkit


@pytest.fixture
def data(rng):
    return rng.normal(size=(30, 6)).astype("f"), rng.integers(0, 3, 30)


def network(backend, seed=0):
    layers = nnkit.Linear(6, 5), nnkit.ReLU(), nnkit.Dropout(0.2), nnkit.Linear(5, 3)
    return nnkit.Sequential(*layers, seed=seed, backend=backend)


def outputs(model, x):
    return np.array(model.backend.to_numpy(model(x)))


def values(model):
    return {name: array.tobytes() for name, array in model.state().items()}


EDITS = {
    "append": (lambda m: m.append(nnkit.Linear(3, 2)), "Linear ReLU Dropout Linear Linear"),
    "insert": (lambda m: m.insert(1, nnkit.PReLU()), "Linear PReLU ReLU Dropout Linear"),
    "insert -1": (lambda m: m.insert(-1, nnkit.PReLU(5)), "Linear ReLU Dropout PReLU Linear"),
    "pop": (lambda m: m.pop(), "Linear ReLU Dropout"),
    "pop 1": (lambda m: m.pop(1), "Linear Dropout Linear"),
    "set": (lambda m: m.__setitem__(1, nnkit.Tanh()), "Linear Tanh Dropout Linear"),
    "put": (lambda m: m.__setitem__(np.int8(3), nnkit.Linear(5, 4)), "Linear ReLU Dropout Linear"),
    "del": (lambda m: m.__delitem__(-2), "Linear ReLU Linear"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:SoftmaxCrossEntropy takes logits")  # without the last layer
@pytest.mark.parametrize("name", EDITS)
def test_an_edited_model(backend, data, name, tmp_path):
    """It computes as one made of the same layers, is saved as it is, and trains on."""
    change, classes = EDITS[name]
    model = network(backend)
    trainer = nnkit.Trainer(model, optimizer=nnkit.Adam(0.01))
    trainer.fit(*data, 1, 10)
    kept = {p: p.to_numpy() for p in model.parameters()}
    change(model)
    assert [type(layer).__name__ for layer in model] == classes.split()
    assert len(model) == len(model.layers) == len(classes.split())
    assert len(model.runs()) == 1
    for p in model.parameters():
        if p in kept:
            np.testing.assert_array_equal(p.to_numpy(), kept[p])
    same = nnkit.Sequential(*copy.deepcopy(model.layers), backend=backend)
    np.testing.assert_array_equal(outputs(model, data[0]), outputs(same, data[0]))
    trainer.save(tmp_path / "a.safetensors")
    twins = [nnkit.Trainer.load(tmp_path / "a.safetensors", backend), copy.deepcopy(trainer)]
    t = data[1] % model.out_features
    trainer.fit(data[0], t, 1, 10, seed=0)
    for twin in twins:
        twin.fit(data[0], t, 1, 10, seed=0)
        assert values(twin.model) == values(model)


def test_a_new_layer_begins_with_its_neighbours(backend):
    model = network(backend).train()
    model[2].eval()
    model.append(nnkit.Dropout(0.5))
    assert [layer.training for layer in model] == [True, True, False, True, True]
    model.insert(0, nnkit.Linear(6, 6))
    assert model[0].W.init.__name__ == "xavier"
    model.insert(1, nnkit.ReLU())
    model[0] = nnkit.Linear(6, 6)
    assert model[0].W.init.__name__ == "he"


WRONG = nnkit.Linear(5, 3, init=np.ones((2, 2)))
REFUSED = {
    "widths": (lambda m: m.append(nnkit.Linear(7, 1)), ValueError, "layer 4: Linear.*rows of 7"),
    "widths in front": (lambda m: m.insert(0, nnkit.Linear(6, 7)), ValueError, "layer 1: Linear"),
    "no layer": (lambda m: m.insert(1, nnkit.ReLU), TypeError, "takes layers, not"),
    "twice": (lambda m: m.append(m[1]), ValueError, "layer 4 is layer 1 again"),
    "twice inside": (
        lambda m: m.append(nnkit.Sequential(nnkit.Linear(3, 5), m[2], backend=m.backend)),
        ValueError,
        r"layer 4\.1 is layer 2 again",
    ),
    "itself": (lambda m: m.append(m), ValueError, "cannot be inside itself"),
    "around it": (
        lambda m: m.append(nnkit.Sequential(m, nnkit.ReLU(), backend=m.backend)),
        ValueError,
        "cannot be inside itself",
    ),
    "initial values": (
        lambda m: m.__setitem__(3, WRONG),
        ValueError,
        r"initial values of shape \(2, 2\) for a parameter of \(5, 3\)",
    ),
    "no such place": (lambda m: m.__setitem__(9, nnkit.ReLU()), IndexError, "out of range"),
    "several": (lambda m: m.__setitem__(slice(0, 2), nnkit.ReLU()), TypeError, "slice"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_edit_changes_nothing(backend, data, name):
    change, error, message = REFUSED[name]
    model = network(backend)
    before, layers, y = values(model), model.layers, outputs(model, data[0])
    with pytest.raises(error, match=message):
        change(model)
    assert (values(model), model.layers, len(model.runs())) == (before, layers, 1)
    np.testing.assert_array_equal(outputs(model, data[0]), y)
    assert WRONG.W.value is None
    nnkit.Trainer(model).fit(*data, 1, 10)
    assert values(model) != before


def test_the_last_layer_stays(backend):
    model = nnkit.Sequential(nnkit.Linear(2, 2), backend=backend)
    with pytest.raises(ValueError, match="at least one layer"):
        model.pop()
    with pytest.raises(AttributeError):
        model.layers.append(nnkit.ReLU())
    assert model(np.ones((1, 2))).shape == (1, 2)


def test_the_optimizer_keeps_what_it_knows_of_parameters_that_stay(backend, data):
    trainer = nnkit.Trainer(network(backend), optimizer=nnkit.SGD(0.1, momentum=0.9))
    trainer.fit(*data, 1, 10)
    first, _, last, _ = trainer.optimizer.state()[0]["velocity"]
    trainer.model.insert(1, nnkit.Linear(5, 5))
    trainer.optimizer.attach(trainer.model)
    now = trainer.optimizer.state()[0]["velocity"]
    np.testing.assert_array_equal(now[0], first)
    np.testing.assert_array_equal(now[4], last)
    assert (now[2].any(), trainer.optimizer.state()[1][1]) == (False, 3)
