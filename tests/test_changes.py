"""What callbacks change takes effect, captured or not; and capturing is done once."""

from __future__ import annotations

import numpy as np
import pytest

import nnkit


@pytest.fixture
def data(rng):
    return rng.normal(size=(44, 6)).astype("f"), rng.integers(0, 3, 44)


def network(backend, **options):
    layers = nnkit.Linear(6, 8), nnkit.LeakyReLU(0.1), nnkit.Dropout(0.5), nnkit.BatchNorm1d(8)
    return nnkit.Sequential(*layers, nnkit.Linear(8, 3), seed=0, backend=backend, **options)


def values(model):
    return [array.tobytes() for array in model.state().values()]


class Change(nnkit.Callback):
    """Makes a change after the third step, or epoch, and another after the fifth."""

    def __init__(self, *changes, epochs=False):
        self.changes = dict(zip((3, 5), changes, strict=False))
        self.epochs, self.calls = epochs, 0

    def on_step_end(self, trainer):
        self.count(trainer, not self.epochs)

    def on_epoch_end(self, trainer):
        self.count(trainer, self.epochs)

    def count(self, trainer, ours):
        self.calls += ours
        if ours and self.calls in self.changes:
            self.changes.pop(self.calls)(trainer)


def option(name, value):
    return lambda trainer: setattr(trainer.optimizer, name, value)


def of_layer(i, name, value):
    return lambda trainer: setattr(trainer.model[i], name, value)


def new_averages(trainer):
    norm = trainer.model[3]
    norm.running_mean = trainer.model.backend.xp.ones_like(norm.running_mean)


def weights_set(trainer):
    trainer.model[0].W.value = np.eye(6, 8)


def mode(i, training):
    return lambda trainer: trainer.model[i].train(training)


def sgd(**options):
    return lambda: nnkit.SGD(0.1, **options)


def adam():
    return nnkit.Adam(0.01)


CHANGES = {
    "lr": (sgd(), option("lr", 0.001)),
    "momentum": (sgd(momentum=0.9), option("momentum", 0.1)),
    "momentum, 0-d": (sgd(momentum=0.9), option("momentum", np.array(0.1))),
    "momentum on": (sgd(), option("momentum", np.float32(0.9))),
    "momentum off and on": (sgd(momentum=0.9), option("momentum", 0), option("momentum", 0.5)),
    "nesterov": (sgd(momentum=0.9), option("nesterov", True)),
    "weight_decay": (sgd(), option("weight_decay", 0.5)),
    "l1": (sgd(), option("l1", np.float64(0.1)), option("l1", 0)),
    "clip_norm on": (sgd(), option("clip_norm", 0.01), option("clip_norm", None)),
    "clip_norm off": (sgd(clip_norm=0.01), option("clip_norm", None)),
    "beta1": (adam, option("beta1", 0.5)),
    "beta2": (adam, option("beta2", 0.9)),
    "eps": (adam, option("eps", 0.1)),
    "alpha": (lambda: nnkit.RMSProp(0.01), option("alpha", 0.5)),
    "slope": (sgd(), of_layer(1, "alpha", 0.9)),
    "dropout": (sgd(), of_layer(2, "p", 0.1), of_layer(2, "p", np.array(0.0))),
    "batchnorm's momentum": (sgd(), of_layer(3, "momentum", 1.0)),
    "batchnorm's eps": (sgd(), of_layer(3, "eps", 0.5)),
    "frozen": (sgd(momentum=0.9), of_layer(0, "frozen", True), of_layer(0, "frozen", False)),
    "eval": (sgd(), lambda trainer: trainer.model.eval()),  # until the next epoch
    "one layer's mode": (adam, mode(3, False), mode(3, True)),
    "weights": (adam, weights_set),
    "averages": (sgd(), new_averages),
    "a step by hand": (adam, lambda trainer: trainer.optimizer.step(trainer.model)),
}


AFTER_EPOCHS = ["momentum on", "clip_norm on", "dropout", "frozen", "weights", "averages"]


@pytest.mark.parametrize(
    ("name", "epochs"), [*((n, False) for n in CHANGES), *((n, True) for n in AFTER_EPOCHS)]
)
def test_a_change(backend, data, name, epochs, small):
    if epochs and small:
        pytest.skip("slow on the simulator")
    make, *changes = CHANGES[name]
    results = []
    for compile in (True, False, None):
        trainer = nnkit.Trainer(network(backend), optimizer=make())
        callbacks = [] if compile is None else [Change(*changes, epochs=epochs)]
        length = 6 if epochs else 2
        trainer.fit(*data, length, 12, callbacks=callbacks, compile=compile is not False)
        results.append((values(trainer.model), trainer.history.step_loss))
        assert not trainer.model.training
    assert results[0] == results[1] != results[2]


def looks(trainer, data):
    x, t = data
    trainer.evaluate(x[:33], t[:33])
    trainer.predict(x[:7])
    trainer.predict_proba(x)
    trainer.model[:3](x[:5])
    trainer.model[1](x[:2])


def test_a_plain_run_is_captured_once(backend, data, captures):
    """With validation, a schedule, and callbacks that use the model; so is a smaller last batch."""
    results = []
    for callbacks in ([], [Change(*2 * [lambda trainer: looks(trainer, data)])]):
        trainer = nnkit.Trainer(network(backend), optimizer=nnkit.SGD(0.1, 0.9))
        schedule = nnkit.schedules.Cosine()
        options = {"validation_data": data, "schedule": schedule, "callbacks": callbacks}
        trainer.fit(*data, 3, 8, **options)
        results.append(values(trainer.model))
    assert len(captures) == 4
    assert results[0] == results[1]
    trainer.fit(*data, 2, 8, accumulate=2)
    assert len(captures) == 6
    trainer.fit(*data, 1, 8)
    assert len(captures) == 7, "the last batch comes once"
    trainer.fit(*data, 2, 8, compile=False)
    assert len(captures) == 7


def test_a_change_is_captured_once_more(backend, data, captures):
    trainer = nnkit.Trainer(network(backend), optimizer=nnkit.SGD(0.1))
    trainer.fit(*data, 3, 8, callbacks=[Change(option("lr", 0.2), option("l1", 0.1))])
    assert len(captures) == 3, "the smaller last batch, too, when it comes again"


@pytest.mark.parametrize("place", [1, 2])
def test_masks_of_dropout_do_not_depend_on_how_layers_are_carried_out(backend, place):
    """Of frozen layers that change nothing, the loss tells which elements were dropped."""
    x, losses = np.ones((16, 8), "f"), []
    for fuse, compile in ((True, True), (True, False), (False, True), (False, False)):
        layers = [nnkit.Linear(8, 8, init=np.eye(8)), nnkit.ReLU(), nnkit.Identity()]
        layers.insert(place, nnkit.Dropout(0.5))
        model = nnkit.Sequential(*layers, backend=backend, seed=3, fuse=fuse)
        model.frozen = True
        trainer = nnkit.Trainer(model, nnkit.MeanSquaredError())
        losses.append(trainer.fit(x, 0 * x, 2, 4, compile=compile).step_loss)
    assert losses[0] == losses[1] == losses[2] == losses[3]
    assert len(set(losses[0])) > 4


@pytest.mark.parametrize("name", ["loss", "optimizer", "model"])
def test_a_part_of_the_trainer_is_replaced(backend, data, name):
    new = {"loss": nnkit.SoftmaxCrossEntropy(), "optimizer": adam(), "model": network(backend)}
    trainer = nnkit.Trainer(network(backend))
    change = Change(lambda trainer: setattr(trainer, name, new[name]))
    with pytest.raises(RuntimeError, match=rf"trainer\.{name} was replaced in the middle of a run"):
        trainer.fit(*data, 2, 11, callbacks=[change])
    assert not trainer.model.training
