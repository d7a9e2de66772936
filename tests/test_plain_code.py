"""Layers, losses and optimizers in plain array code: trained step by step, and named."""

from __future__ import annotations

import warnings

import pytest

import nnkit
from nnkit.training.steps import CaptureWarning


@pytest.fixture
def data(rng):
    return rng.normal(size=(44, 6)).astype("f"), rng.integers(0, 3, 44)


def values(model):
    return [array.tobytes() for array in model.state().values()]


class Scale(nnkit.Layer):
    """Plain array code, which cannot be captured."""

    def forward(self, x):
        return x * 2

    def backward(self, dy):
        return dy * 2


class PlainSGD(nnkit.SGD):
    def apply(self, backend, p, g, state, update):
        p -= backend.asarray(update.lr[:1] * 1.0, p.dtype) * g


class PlainError(nnkit.MeanSquaredError):
    def measure(self, backend, y, t, gradient, log, counters):
        gradient[...] = (y - t) * (2 / y.size)
        log[int(counters[0]), 0] = ((y - t) ** 2).mean()


PLAIN = {
    "Scale": ([Scale], nnkit.MeanSquaredError, nnkit.SGD),
    "PlainSGD": ([], nnkit.MeanSquaredError, PlainSGD),
    "PlainError": ([], PlainError, nnkit.SGD),
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_array_code_is_trained_step_by_step(backend, data, captures, name):
    layers, loss, optimizer = PLAIN[name]
    results = []
    for compile in (True, False):
        extra = [layer() for layer in layers]
        model = nnkit.Sequential(nnkit.Linear(6, 3), *extra, seed=0, backend=backend)
        trainer = nnkit.Trainer(model, loss(), optimizer(0.1))
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            trainer.fit(data[0], data[0][:, :3], 2, 11, compile=compile)
        assert [w.category for w in said] == [CaptureWarning] * compile
        if compile:
            assert f"step by step: {name}(" in str(said[0].message)
        results.append((values(model), trainer.history.step_loss))
    assert results[0] == results[1]
    assert not captures


def test_a_layer_that_cannot_be_captured_comes_in_later(backend, data, captures):
    class Insert(nnkit.Callback):
        def on_epoch_end(self, trainer):
            if len(trainer.history) == 1:
                trainer.model.insert(1, Scale())

    results = []
    for compile in (True, False):
        model = nnkit.Sequential(nnkit.Linear(6, 8), nnkit.ReLU(), nnkit.Linear(8, 3),
                                 seed=0, backend=backend)  # fmt: skip
        trainer = nnkit.Trainer(model, optimizer=nnkit.SGD(0.1))
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            trainer.fit(*data, 2, 11, callbacks=[Insert()], compile=compile)
        assert [w.category for w in said] == [CaptureWarning] * compile
        results.append(values(trainer.model))
    assert results[0] == results[1]
    assert len(captures) == 1
