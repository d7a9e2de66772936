"""LearningRateFinder: what it trains, when it stops, what it suggests, and that nothing changes."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import nnkit
from nnkit.backends import choosing
from tests.callbacks.runs import T, X, trainer


def find(one, lowest=1e-4, highest=100.0, steps=40, smoothing=0.9, **options):
    finder = nnkit.LearningRateFinder(one, lowest, highest, steps, smoothing)
    return finder.find(X, T, 8, **options)


def everything(one):
    """All that the trainer is, as bytes."""
    return pickle.dumps(one.__getstate__())


@pytest.fixture
def named(backend, monkeypatch):
    """A backend that copies find by its name; the simulated one is not found by it otherwise."""
    monkeypatch.setitem(choosing._loaded, backend.name, backend)
    return backend


def test_losses_are_those_of_steps_at_these_rates(named):
    """As in a loop by hand over the same batches."""
    found = find(trainer(named), 0.01, 0.1, steps=12)
    np.testing.assert_allclose(found.rates, 0.01 * 10 ** (np.arange(12) / 11))
    one, losses = trainer("numpy"), []
    loss, order = one.loss, [*map(epoch_order, range(3))]
    one.model.train()
    for i, rate in enumerate(found.rates):
        rows = order[i // 5][i % 5 * 8 :][:8]
        losses.append(loss(one.model(X[rows]), T[rows]))
        one.model.backward(loss.backward())
        one.optimizer.lr = rate
        one.optimizer.step(one.model)
    np.testing.assert_allclose(found.losses, losses, rtol=1e-5)


def epoch_order(epoch):
    key = np.array([0, epoch], np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).permutation(40)


@pytest.mark.parametrize("fitted", [False, True])
def test_the_trainer_stays_as_it_is(named, fitted):
    one = trainer(named)
    if fitted:
        one.fit(X, T, 1, 8, scale=0.5)
    before, model, optimizer = everything(one), one.model, one.optimizer
    found = find(one, steps=10)
    assert everything(one) == before
    assert (one.model, one.optimizer, len(found.rates)) == (model, optimizer, 10)


def test_the_loss_falls_and_rises_and_the_rest_is_left_out():
    found = find(trainer(), 1e-4, 1e4, steps=100)
    assert 30 < len(found.rates) < 100
    assert found.smoothed[-1] > 4 * min(found.smoothed)
    assert max(found.smoothed[:-1]) < 4 * min(found.smoothed) + max(found.smoothed[:1])
    assert 0.005 < found.suggestion < 1
    assert found.suggestion == found.rates[int(np.argmin(found.smoothed))] / 10
    assert found.smoothed[0] == pytest.approx(found.losses[0])
    first, second = found.losses[:2]
    assert found.smoothed[1] == pytest.approx((0.9 * 0.1 * first + 0.1 * second) / (1 - 0.81))
    assert find(trainer(), smoothing=0).smoothed == find(trainer(), smoothing=0).losses


def test_a_loss_that_is_no_number_ends_it():
    one = trainer()
    one.model[0].W.value[...] = np.nan
    found = find(one)
    assert (found.rates, found.losses, found.suggestion) == ([], [], None)
    assert repr(found) == "LearningRates(no step was possible)"


def test_a_loss_that_never_falls_suggests_nothing():
    found = nnkit.LearningRates([1e-3, 1e-2, 1e-1], [1.0, 1.1, 1.2], [1.0, 1.05, 1.1])
    assert found.suggestion is None
    assert repr(found) == "LearningRates(3 steps from 0.001 to 0.1, suggestion none)"
    found = nnkit.LearningRates([1e-3, 1e-2, 1e-1], [1.0, 0.9, 1.2], [1.0, 0.95, 1.1])
    assert repr(found) == "LearningRates(3 steps from 0.001 to 0.1, suggestion 0.001)"


def test_options_are_those_of_fit():
    one = trainer()
    assert find(one, seed=3).losses != find(one).losses == find(one, compile=False).losses
    assert find(one, scale=0.1).losses != find(one).losses
    with pytest.raises(ValueError, match="batch_size 99 is more than the 40 examples"):
        nnkit.LearningRateFinder(one).find(X, T, 99)
    with pytest.raises(TypeError, match="unexpected keyword argument 'sclae'"):
        find(one, sclae=1)
    with pytest.raises(TypeError) as error:
        find(one, callbacks=[], progress=True, epochs=3)
    assert str(error.value) == (
        "LearningRateFinder.find has callbacks and epochs of its own: leave them out"
    )


@pytest.mark.parametrize("suggested", [True, False])
def test_its_plot(tmp_path, suggested):
    pytest.importorskip("matplotlib")
    found = find(trainer()) if suggested else nnkit.LearningRates([0.1], [2.0], [2.0])
    figure = found.plot(tmp_path / "rates.png", title="Ours")
    assert (tmp_path / "rates.png").read_bytes().startswith(b"\x89PNG")
    (axes,) = figure.axes
    (labels,) = [[text.get_text() for text in axes.get_legend().get_texts()]]
    assert labels[:2] == ["loss of a batch", "smoothed"]
    assert labels[2:] == ([f"suggestion: {found.suggestion:.2g}"] if suggested else [])
    assert figure.get_suptitle() == "Ours"
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), found.smoothed)
    assert axes.get_xscale() == "log"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nnkit.LearningRateFinder(nnkit.ReLU()), "trainer must be a Trainer, such as "
         "nnkit.Trainer(model, loss, optimizer), not ReLU()"),
        (lambda: nnkit.LearningRateFinder(trainer(), 1, 1), "lowest must be below highest, but 1 is"
         " not below 1"),
        (lambda: nnkit.LearningRateFinder(trainer(), 0), "lowest must be positive, not 0"),
        (lambda: nnkit.LearningRateFinder(trainer(), steps=9), "steps must be an integer of at "
         "least 10, not 9"),
        (lambda: nnkit.LearningRateFinder(trainer(), smoothing=1), "smoothing must be at least 0 "
         "and below 1, not 1"),
    ],
)  # fmt: skip
def test_bad_settings(call, message):
    with pytest.raises((TypeError, ValueError)) as error:
        call()
    assert str(error.value) == f"LearningRateFinder: {message}"
