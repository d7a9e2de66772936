"""Training that diverges says so: where, and which learning rate to try."""

from __future__ import annotations

import numpy as np
import pytest

import nnkit


@pytest.fixture
def data(rng):
    x = 100 * rng.normal(size=(40, 6))
    return x, x.sum(axis=1, keepdims=True)


def trainer_of(backend, lr=0.01):
    model = nnkit.Sequential(nnkit.Linear(6, 1), backend=backend, seed=0)
    return nnkit.Trainer(model, nnkit.HalfSquaredError(), nnkit.SGD(lr))


class Spoil(nnkit.Callback):
    """Make the weights NaN after a step of an epoch, both from 1."""

    def __init__(self, epoch, step):
        self.where = epoch - 1, step

    def on_step_end(self, trainer):
        if (trainer.progress.epoch, trainer.progress.step) == self.where:
            trainer.model.flat.values[...] = np.nan


def test_the_error_names_epoch_and_step(backend, data):
    trainer = trainer_of(backend, 1e-6)
    message = (
        r"^training diverged: the loss is nan in epoch 2, step 4\. Try a smaller learning rate, "
        r"such as 1e-07 instead of 1e-06$"
    )
    with pytest.raises(nnkit.DivergenceError, match=message) as caught:
        trainer.fit(*data, 3, 10, callbacks=[Spoil(2, 3)])
    assert (caught.value.epoch, caught.value.step) == (2, 4)
    assert np.isnan(caught.value.loss)


def test_many_short_epochs_in_one_go(backend, data):
    trainer = trainer_of(backend)
    with pytest.raises(nnkit.DivergenceError) as caught:
        trainer.fit(*data, 200, 10)
    losses = np.array(trainer.history.step_loss)
    first = int(np.isfinite(losses).argmin())
    assert (caught.value.epoch, caught.value.step) == (first // 4 + 1, first % 4 + 1)
    assert caught.value.loss == losses[first] == np.inf


def test_what_it_leaves_is_consistent(backend, data, tmp_path):
    trainer, ended = trainer_of(backend, 1e-6), []

    class End(nnkit.Callback):
        def on_fit_end(self, trainer):
            ended.append(trainer.progress.epoch)

    with pytest.raises(nnkit.DivergenceError):
        trainer.fit(*data, 3, 10, validation_data=data, callbacks=[Spoil(2, 2), End()])
    progress = trainer.progress
    assert ended == [progress.epoch]
    assert len(trainer.history) == len(trainer.history.val_loss) == progress.epoch
    assert 4 * progress.epoch + progress.step >= 7
    assert trainer.running().keys() <= {"loss"}
    assert not trainer.model.training
    with pytest.raises(nnkit.DivergenceError):
        trainer.resume(*data)
    with pytest.raises(ValueError, match=r"model\.0\.weight holds NaN or infinity"):
        trainer.save(tmp_path / "run")


def test_to_warn(backend, data):
    trainer = trainer_of(backend, 1e-6)
    with pytest.warns(nnkit.DivergenceWarning, match="nan in epoch 2, step 4") as caught:
        trainer.fit(*data, 4, 10, callbacks=[Spoil(2, 3)], on_nan="warn")
    assert [each.filename for each in caught] == [__file__], "once, at the line of the call"
    assert len(trainer.history) == 4


def test_to_ignore(backend, data):
    trainer = trainer_of(backend, 1e-6)
    history = trainer.fit(*data, 4, 10, callbacks=[Spoil(2, 3)], on_nan="ignore")
    assert np.isnan(history.loss[1:]).all()
    assert np.isfinite(history.loss[0])
    with pytest.raises(nnkit.DivergenceError, match="nan in epoch 5, step 1"):
        trainer.resume(*data, epochs=6)


def test_weights_that_are_nan_behind_the_last_loss(backend, data):
    message = r"^training diverged: weights are NaN or infinite after epoch 2, step 4\. Try"
    with pytest.raises(nnkit.DivergenceError, match=message):
        trainer_of(backend, 1e-6).fit(*data, 2, 10, callbacks=[Spoil(2, 4)])


def test_early_stopping_that_restores_finite_weights_is_no_error(data):
    class SpoilAtTheEnd(nnkit.EarlyStopping):
        def on_epoch_end(self, trainer):
            super().on_epoch_end(trainer)
            if trainer.progress.finished:
                trainer.model.flat.values[...] = np.nan

    trainer = trainer_of("numpy", 1e-6)
    trainer.fit(*data, 2, 10, callbacks=[SpoilAtTheEnd("loss")])
    assert np.isfinite(trainer.model.flat.values).all()


def test_use_of_a_model_that_has_diverged(backend, rng):
    x, t = rng.normal(size=(8, 6)), np.arange(8) % 3
    model = nnkit.Sequential(nnkit.Linear(6, 3), backend=backend, seed=0)
    model.flat.values[...] = np.nan
    trainer = nnkit.Trainer(model)
    remedy = "training has diverged; train a new model, with a smaller learning rate"
    for use in (trainer.predict, trainer.predict_proba):
        with pytest.warns(
            nnkit.DivergenceWarning,
            match=f"outputs are NaN for 8 of 8 examples, so that its answers .*: {remedy}",
        ):
            use(x)
    with pytest.warns(nnkit.DivergenceWarning, match=f"the loss is NaN, .*: {remedy}"):
        trainer.evaluate(x, t)


def test_a_choice_that_there_is_not(data):
    message = "on_nan must be one of 'raise', 'warn', 'ignore', not 'stop'"
    with pytest.raises(ValueError, match=message):
        trainer_of("numpy").fit(*data, 1, 10, on_nan="stop")
