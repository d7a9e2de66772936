"""The lines of Python that a page shows train the network that it shows, for every setting."""

import dataclasses

import numpy as np
import pytest

import nnkit
from nnkit.play.playground.network import code
from nnkit.play.playground.settings import CHOICES, LOSSES, Settings
from nnkit.play.playground.training import Network, Stretches

BACKENDS = [name for name in ("numpy", "numba") if name in nnkit.available_backends()]

SMALL = Settings(points=30, hidden=(3, 2), batch=10, backend="numpy")
EVERY = [
    *({"activation": name} for name in CHOICES["activation"]),
    *({"optimizer": name, "decay": 0.01} for name in CHOICES["optimizer"]),
    *({"initial": name} for name in CHOICES["initial"]),
    *({"problem": p, "loss": loss} for p in CHOICES["problem"] for loss in LOSSES[p]),
    {"batch_norm": True},
    {"dropout": 0.2},
    {"batch_norm": True, "dropout": 0.2, "hidden": (4,), "batch": 0},
    {"hidden": ()},
    {"batch": 7, "seed": 5},
]


class Epochs(Stretches):
    """Stops after some."""

    def __init__(self, network, epochs):
        super().__init__(lambda: None)
        self.network, self.epochs = network, epochs

    def epochs_ahead(self, trainer):
        return self.epochs - self.network.epochs

    def on_epoch_end(self, trainer):
        super().on_epoch_end(trainer)
        trainer.stop = trainer.stop or self.network.epochs >= self.epochs


def trained(settings, epochs):
    network = Network(settings)
    network.go_on(Epochs(network, epochs))
    assert network.epochs == epochs
    return network


def ran(text):
    found = {}
    exec(text, found)
    return found["trainer"]


def assert_same(one, other):
    one, other = one.model.state(), other.model.state()
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], name)


@pytest.mark.parametrize("changed", EVERY, ids=lambda c: "-".join(map(str, c.values())))
def test_every_setting_is_written_as_it_is_trained(changed, capsys):
    settings = dataclasses.replace(SMALL, **changed)
    assert_same(ran(code(settings, 3)), trained(settings, 3).trainer)
    assert "loss" in capsys.readouterr().out


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "changed",
    [
        {"problem": "xor", "activation": "sigmoid", "optimizer": "momentum"},
        {"problem": "spirals", "activation": "relu", "optimizer": "adam", "dropout": 0.1},
        {"problem": "sine", "loss": "huber", "initial": "large", "batch_norm": True, "batch": 0},
    ],
    ids=lambda c: c["problem"],
)
def test_many_epochs_are_the_same_on_each_backend(changed, backend):
    settings = dataclasses.replace(SMALL, backend=backend, **changed)
    text = code(settings, 60)
    assert len(text.splitlines()) < 25
    assert_same(ran(text), trained(settings, 60).trainer)


def test_the_code_is_short():
    assert code(Settings(problem="xor", hidden=(2,), backend="numpy", optimizer="adamw"), 9) == (
        "import nnkit\n"
        "from nnkit.data import problem\n"
        "\n"
        'x, t = problem("xor")\n'
        "model = nnkit.Sequential(\n"
        "    nnkit.Linear(2, 2),\n"
        "    nnkit.Tanh(),\n"
        "    nnkit.Linear(2, 1),\n"
        "    seed=0,\n"
        '    backend="numpy",\n'
        ")\n"
        "trainer = nnkit.Trainer(model, nnkit.SigmoidCrossEntropy(), "
        "nnkit.AdamW(lr=0.1, weight_decay=0.0))\n"
        "trainer.fit(x, t, epochs=9, batch_size=4)\n"
        "print(trainer.evaluate(x, t))\n"
    )
