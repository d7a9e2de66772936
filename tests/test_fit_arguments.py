"""What the trainer is given is checked where it is given, with the remedy."""

from __future__ import annotations

import re

import numpy as np
import pytest

import nnkit

X, T = np.eye(4), np.array([0, 1, 1, 0])


@pytest.fixture
def trainer():
    return nnkit.Trainer(nnkit.Sequential(nnkit.Linear(4, 2), seed=0, backend="numpy"))


@pytest.mark.parametrize("n", [1, 4, 31, 33, 100])
def test_the_batch_size_adapts_to_few_examples(n):
    trainer = nnkit.Trainer(nnkit.Sequential(nnkit.Linear(2, 2), seed=0, backend="numpy"))
    trainer.fit(np.ones((n, 2)), np.zeros(n, int), 1)
    assert trainer.progress.batch_size == min(n, 32)


def test_a_batch_size_that_was_asked_for_does_not(trainer):
    with pytest.raises(ValueError, match=r"^batch_size 32 is more than the 4 examples$"):
        trainer.fit(X, T, 1, 32)


@pytest.mark.parametrize("value", [0, -1, 2.0, "2", True, np.float64(2), [2]])
@pytest.mark.parametrize("name", ["epochs", "batch_size", "accumulate"])
def test_counts(trainer, name, value):
    message = f"{name} must be an integer of at least 1, not {value!r}"
    with pytest.raises(ValueError, match=re.escape(message)):
        trainer.fit(X, T, **{name: value})
    assert trainer.progress is None


@pytest.mark.parametrize("kind", [int, np.int64, np.uint8, np.array])
def test_counts_of_numpy(trainer, kind):
    trainer.fit(X, T, kind(2), kind(2), accumulate=kind(1))
    assert type(trainer.progress.epochs) is type(trainer.progress.batch_size) is int


@pytest.mark.parametrize("batch_size", [0, -3, 1.5, None])
def test_batches_of_evaluation(trainer, batch_size):
    message = f"batch_size must be an integer of at least 1, not {batch_size}"
    for use in (trainer.predict, trainer.predict_proba, lambda x, n: trainer.evaluate(x, T, n)):
        with pytest.raises(ValueError, match=message):
            use(X, batch_size)


@pytest.mark.parametrize(
    ("epochs", "message"),
    [
        (-1, "epochs must be an integer of at least 1, not -1"),
        (3.0, "epochs must be an integer of at least 1, not 3.0"),
        (1, "the run has done 2 epochs already, more than 1"),
    ],
)
def test_resuming(trainer, epochs, message):
    trainer.fit(X, T, 2)
    with pytest.raises(ValueError, match=message):
        trainer.resume(X, T, epochs)
    assert trainer.progress.epochs == 2


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ((X,), "a tuple of 1"),
        ((X, T, T, T), "a tuple of 4"),
        ([X], "a list of 1"),
        (X, "ndarray"),
        (np.zeros((2, 4)), "ndarray"),
        ("xt", "str"),
    ],
    ids=str,
)
def test_validation_data_of_another_form(trainer, given, kind):
    message = (
        f"^validation_data must be the pair \\(x, t\\), or \\(x, t, sample_weight\\), not {kind}$"
    )
    with pytest.raises(TypeError, match=message):
        trainer.fit(X, T, 1, validation_data=given)
    assert trainer.progress is None


def test_validation_data_as_a_list(trainer):
    assert len(trainer.fit(X, T, 1, validation_data=[X, T]).val_loss) == 1


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        (nnkit.EarlyStopping(), r"must be a list, such as \[EarlyStopping\(\)\], not <nnkit"),
        ([nnkit.EarlyStopping], r"must be of nnkit.Callback, but there is .*: make one, with \(\)"),
        ([print], "must be of nnkit.Callback, but there is <built-in function print>"),
        (3, "callbacks must be a list"),
    ],
)
def test_callbacks(trainer, callbacks, message):
    with pytest.raises(TypeError, match=message):
        trainer.fit(X, T, 1, callbacks=callbacks)


@pytest.mark.parametrize("schedule", ["cosine", 0.5, nnkit.schedules.Cosine])
def test_schedules(trainer, schedule):
    message = r"schedule (must be such as nnkit.schedules.Cosine\(\)|is the class Cosine)"
    with pytest.raises(TypeError, match=message):
        trainer.fit(X, T, 1, schedule=schedule)


def test_a_seed(trainer):
    with pytest.raises(TypeError, match=r"seed must be an integer, not 1\.5"):
        trainer.fit(X, T, 1, seed=1.5)


@pytest.mark.parametrize("x", [None, 3, np.array(2.0)])
def test_what_has_no_length(trainer, x):
    with pytest.raises(TypeError, match=r"x must be an array of shape \(n, ...\), not"):
        trainer.fit(x, T, 1)


def test_shuffle_is_true_or_false():
    trainer = nnkit.Trainer(nnkit.Sequential(nnkit.Linear(2, 2), backend="numpy"))
    with pytest.raises(TypeError, match=r"^shuffle must be True or False, not 'no'$"):
        trainer.fit(np.zeros((4, 2)), [0, 1, 0, 1], shuffle="no")
