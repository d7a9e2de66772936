"""What the chapters' answers say is what their settings do: trained, for as long as it takes."""

from __future__ import annotations

import functools
import json

import numpy as np
import pytest

import nnkit
from nnkit.play.files import page
from nnkit.tracing import Trace

settings = pytest.importorskip("nnkit.play.playground.settings")
network = pytest.importorskip("nnkit.play.playground.network")

CHAPTERS = json.loads(page()["chapters.json"][0])
TRIES = {
    (chapter["id"], name): {k: v for k, v in values.items() if k != "show"}
    for chapter in CHAPTERS
    if chapter["view"] == "playground"
    for name, values in chapter["tries"].items()
}


@pytest.mark.parametrize(("chapter", "name"), TRIES)
def test_settings_are_taken(chapter, name):
    made = network.trainer(settings.parsed({**TRIES[chapter, name], "backend": "numpy"}))
    assert made.model.n_parameters >= 3


@functools.cache
def train(chapter, name, epochs, **changed):
    """Train an experiment; return the trainer, its history and the points."""
    values = {**TRIES[chapter, name], "backend": "numpy", **changed}
    made = settings.parsed(values)
    trainer, data = network.trainer(made), network.points(made)
    held_out = network.points(made, held_out=True)
    how = {"epochs": epochs, "batch_size": made.batch_size, "progress": False}
    return trainer, trainer.fit(*data, **how, validation_data=held_out), data


def gradients(trainer):
    """Root mean square of the last gradient of each linear layer's weights."""
    layers = [layer for layer in trainer.model if isinstance(layer, nnkit.Linear)]
    return [float(np.sqrt((layer.W.grad**2).mean())) for layer in layers]


def right(chapter, name, epochs, **changed):
    """The share of the training points that is right after so many epochs."""
    trainer, _, data = train(chapter, name, epochs, **changed)
    return trainer.evaluate(*data)["accuracy"]


@pytest.mark.parametrize("gate", ["and", "nand", "or"])
def test_gates_are_learned(gate):
    assert right("perceptron", gate, 100) == 1


def test_and_and_nand_have_the_same_line():
    lines = [train("perceptron", gate, 1000)[0].model[0] for gate in ("and", "nand")]
    one, other = (np.append(line.W.value, line.b.value) / line.b.value[0] for line in lines)
    np.testing.assert_allclose(one, other, rtol=0.01)
    assert lines[0].b.value[0] * lines[1].b.value[0] < 0


def test_xor_needs_a_layer():
    _, history, _ = train("xor", "one", 300)
    assert history.loss[-1] == pytest.approx(np.log(2), abs=1e-3)
    assert right("xor", "layers", 300) == 1


def test_a_single_neuron_never_rests_on_xor():
    _, history, _ = train("perceptron-learning", "xor", 300)
    assert min(history.loss[100:]) > np.log(2)


def test_linear_layers_collapse():
    assert right("linear-collapse", "identity", 20) < 0.7
    assert right("linear-collapse", "relu", 20) > 0.95


def test_three_layers_have_20_parameters():
    assert train("three-layers", "two", 1)[0].model.n_parameters == 20


def test_accuracy_is_full_long_before_the_loss_is_small():
    _, history, _ = train("losses", "sigmoid_cross_entropy", 300)
    first = history.accuracy.index(1)
    assert history.loss[first] > 10 * history.loss[-1]
    _, history, _ = train("losses", "mean_squared_error", 300)
    assert history.loss[-1] < 1e-4


def test_learning_rates_too_small_and_too_large():
    small, good, large = (train("numerical-gradient", n, 300)[1] for n in ("tiny", "good", "huge"))
    assert 0.99 * small.loss[0] < small.loss[-1] < small.loss[0]
    assert good.loss[-1] < 0.05
    assert large.loss[-1] > 50


def test_a_full_batch_is_slow():
    full, mini, single = (train("gradient-descent", n, 100)[1] for n in ("full", "mini", "single"))
    assert full.loss[-1] > max(mini.loss[-1], single.loss[-1])
    assert np.abs(np.diff(full.loss[50:])).max() < 0.1 * np.abs(np.diff(single.loss[50:])).max()


def test_gradients_become_small_together():
    early, late = (gradients(train("backpropagation", "xor", n)[0]) for n in (1, 1000))
    assert all(10 * b < a for a, b in zip(early, late, strict=True))


def test_two_hidden_neurons_may_be_caught():
    _, history, _ = train("xor-backpropagation", "two", 2000)
    assert history.loss[-1] == pytest.approx(0.35, abs=0.01)
    assert right("xor-backpropagation", "xor", 2000) == 1


def test_gradients_vanish_under_sigmoid():
    trainer, history, _ = train("vanishing-gradients", "sigmoid", 30)
    first, *_, last = gradients(trainer)
    assert 1000 * first < last
    assert min(history.loss) > 0.69
    for name in ("tanh", "relu"):
        trainer, history, _ = train("vanishing-gradients", name, 30)
        assert max(gradients(trainer)) < 30 * min(gradients(trainer))
        assert history.loss[-1] < 0.2


def dead(trainer, x):
    """Shares of units that give 0 for all points, by layer of ReLU."""
    outputs = Trace(trainer.model).outputs(x)
    of = {
        path: y for path, y in outputs.items() if isinstance(trainer.model[int(path)], nnkit.ReLU)
    }
    return [(y <= 0).all(axis=0).mean() for y in of.values()]


def test_relu_dies_and_a_lower_rate_does_not_help():
    trainer, _, (x, t) = train("dying-relu", "relu", 2)
    assert dead(trainer, x)[-1] == 1
    trainer.optimizer.lr = 0.1
    trainer.resume(x, t, epochs=10, progress=False)
    assert dead(trainer, x)[-1] == 1
    assert gradients(trainer)[0] == 0
    assert max(dead(train("dying-relu", "gentle", 20)[0], x)) < 0.3
    assert min(gradients(train("dying-relu", "leaky_relu", 10)[0])) > 0


def test_optimizers_differ():
    losses = {name: train("optimizers", name, 60)[1].loss for name in ("sgd", "momentum", "adam")}
    first = {n: next((i for i, v in enumerate(loss) if v < 0.2), 99) for n, loss in losses.items()}
    assert first["adam"] < first["momentum"] < 60 < first["sgd"]


def test_lowering_the_rate_calms_the_loss():
    trainer, history, data = train("schedules", "moons", 40)
    restless = history.loss[-10:]
    trainer.optimizer.lr = 0.1
    calm = trainer.resume(*data, epochs=80, progress=False).loss[-10:]
    assert max(calm) < min(restless)
    assert np.ptp(calm) < np.ptp(restless)


@pytest.mark.parametrize("name", ["small", "large"])
def test_beginnings_that_do_not_learn(name):
    assert right("initial-weights", name, 60) < 0.75
    assert right("initial-weights", "xavier", 60) > 0.95


def test_batch_normalisation_rescues():
    assert min(train("batch-normalisation", "without", 100)[1].loss) > 0.69
    assert right("batch-normalisation", "with", 100) > 0.9


def test_overfitting_and_remedies():
    _, plain, _ = train("overfitting", "plain", 75)
    assert plain.loss[-1] < 0.15
    assert np.argmin(plain.val_loss) < 15
    assert plain.val_loss[-1] > 2 * min(plain.val_loss)
    assert train("overfitting", "decay", 75)[1].val_loss[-1] < 1.2 * min(plain.val_loss)
    assert train("overfitting", "dropout", 75)[1].val_loss[-1] < 0.6 * plain.val_loss[-1]


def test_deep_sigmoids_without_a_way_past():
    assert min(train("resnet", "deep", 100)[1].loss) > 0.6
    assert right("resnet", "shallow", 100) > 0.9
