"""What steps index by: targets are the run's own, and what is not there ends it with an error."""

from __future__ import annotations

import numpy as np
import pytest

import nnkit
from nnkit.training.steps import Steps

ROWS, BATCH = 24, 5


class Each(nnkit.Callback):
    """Calls a function with the trainer after each step."""

    def __init__(self, function):
        self.function = function

    def on_step_end(self, trainer):
        self.function(trainer)


class Unchecked(nnkit.SoftmaxCrossEntropy):
    """A loss of one's own whose `prepare` lets every label pass."""

    capturable = True

    def prepare(self, backend, target, shape, dtype):
        return backend.asarray(target, np.int32)


@pytest.fixture
def data(rng):
    return rng.normal(size=(ROWS, 4)).astype(np.float32), rng.integers(0, 3, ROWS).astype(np.int32)


def trainer(backend, loss=None):
    layers = nnkit.Linear(4, 6), nnkit.ReLU(), nnkit.Linear(6, 3)
    return nnkit.Trainer(nnkit.Sequential(*layers, seed=1, backend=backend), loss)


def weights(trainer):
    return trainer.model.backend.to_numpy(trainer.model.flat.values).tobytes()


@pytest.mark.parametrize("loss", [None, nnkit.MeanSquaredError()])
def test_targets_that_a_callback_changes(backend, data, loss):
    """The run has its own, of labels and of rows, though they are of the dtype that it takes."""
    x, t = data
    t = t if loss is None else np.eye(3, dtype=np.float32)[t]
    alone = trainer(backend, loss)
    alone.fit(x, t, 3, BATCH)
    mine = t.copy()

    def spoil(trainer):
        mine[...] = 10**9

    disturbed = trainer(backend, loss)
    disturbed.fit(x, mine, 3, BATCH, callbacks=[Each(spoil)])
    assert weights(disturbed) == weights(alone)
    assert disturbed.history.step_loss == alone.history.step_loss


@pytest.mark.parametrize("capture", [False, True])
@pytest.mark.parametrize("label", [-1, 3, -(2**31), 2**31 - 1])
def test_a_label_that_is_no_class(backend, data, label, capture):
    x, t = data
    t[17] = label
    message = rf"example 17, in step 3, has the label {label}, but labels are 0 to 2 for 3 outputs"
    with pytest.raises(IndexError, match=message):
        trainer(backend, Unchecked()).fit(x, t, 2, BATCH, shuffle=False, compile=capture)
    with pytest.raises(IndexError, match=message):
        trainer(backend, Unchecked()).evaluate(x, t, BATCH)


@pytest.mark.parametrize("row", [ROWS, -1, 2**40])
@pytest.mark.parametrize("loss", [None, nnkit.MeanSquaredError()])
def test_an_order_of_rows_that_are_not_there(backend, data, monkeypatch, loss, row):
    x, t = data
    t = t if loss is None else np.eye(3)[t]
    begin = Steps.begin

    def begin_and_spoil(steps, *arguments):
        begin(steps, *arguments)
        steps.order[11] = row

    monkeypatch.setattr(Steps, "begin", begin_and_spoil)
    with pytest.raises(IndexError, match=rf"step 2 is of example {row}, of 24: something has cha"):
        trainer(backend, loss).fit(x, t, 2, BATCH)


@pytest.mark.parametrize("step", [-1, 2, -(10**9), 10**9])
def test_counters_that_a_callback_changes(backend, data, step):
    """No kernel follows them to foreign memory; it is said before the next step, or the epoch."""

    def spoil(trainer):
        trainer.optimizer.counters[0] = step

    with pytest.raises(IndexError, match=rf"counters say that step {step} is next, but it is step"):
        trainer(backend).fit(*data, 1, BATCH, callbacks=[Each(spoil)])
