"""Calls that are refused, or fail in a callback, leave no trace."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import nnkit


@pytest.fixture
def data(rng):
    return rng.normal(size=(48, 6)).astype("f"), rng.integers(0, 3, 48)


def network(backend, seed=0):
    layers = nnkit.Linear(6, 8), nnkit.BatchNorm1d(8), nnkit.ReLU(), nnkit.Dropout(0.5)
    return nnkit.Sequential(*layers, nnkit.Linear(8, 3), seed=seed, backend=backend)


def values(model):
    return {name: array.tobytes() for name, array in model.state().items()}


def bad(**options):
    return lambda trainer, x, t: trainer.fit(x, t, **{"epochs": 1, "batch_size": 12, **options})


REFUSED = {
    "batch of one row": bad(batch_size=47),
    "batch size": bad(batch_size=49),
    "labels": lambda trainer, x, t: trainer.fit(x, t + 9, 1, 12),
    "width": lambda trainer, x, t: trainer.fit(x[:, :3], t, 1, 12),
    "validation": bad(validation_data=(np.ones((2, 3)), [0, 1])),
    "resume with other data": lambda trainer, x, t: trainer.resume(x[:9], t[:9], epochs=9),
    "resume with NaN": lambda trainer, x, t: trainer.resume(x * np.nan, t, epochs=9),
    "resume to": lambda trainer, x, t: trainer.resume(x, t, epochs="many"),
    "predict": lambda trainer, x, t: trainer.predict(x[:, :3]),
    "predict in batches of 0": lambda trainer, x, t: trainer.predict(x, 0),
    "evaluate": lambda trainer, x, t: trainer.evaluate(x, t + 9),
    "another's optimizer": lambda trainer, x, t: nnkit.Trainer(
        network(trainer.model.backend), optimizer=trainer.optimizer
    ).fit(x, t, 1, 12),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_call(backend, data, name):
    trainer = nnkit.Trainer(network(backend))
    trainer.fit(*data, 1, 12, schedule=nnkit.schedules.Cosine())
    trainer.model[3].train()
    before = copy.deepcopy(trainer)
    history, progress, schedule = trainer.history, trainer.progress, trainer.schedule
    with pytest.raises(ValueError, match=r"."):
        REFUSED[name](trainer, *data)
    assert (trainer.history, trainer.progress) == (history, progress)
    assert (trainer.progress, trainer.history) == (before.progress, before.history)
    assert trainer.schedule is schedule
    assert values(trainer.model) == values(before.model)
    assert [x.training for _, x in trainer.model.walk()] == [False] * 4 + [True, False]
    for each in (trainer, before):
        each.fit(*data, 1, 12)
    assert values(trainer.model) == values(before.model)


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
@pytest.mark.parametrize("hook", ["on_fit_begin", "on_step_end", "on_epoch_end", "on_fit_end"])
def test_an_error_in_a_callback(backend, data, hook, error):
    """The model is as after the last step, and the run can be resumed."""

    def fail(self, trainer):
        raise error

    failing = type("Failing", (nnkit.Callback,), {hook: fail})()
    trainer, whole = nnkit.Trainer(network(backend)), nnkit.Trainer(network(backend))
    with pytest.raises(error):
        trainer.fit(*data, 2, 12, callbacks=[failing])
    assert not any(layer.training for _, layer in trainer.model.walk())
    trainer.resume(*data)
    whole.fit(*data, 2, 12)
    assert values(trainer.model) == values(whole.model)
    assert trainer.history.step_loss == whole.history.step_loss
