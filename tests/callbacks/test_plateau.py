"""ReduceOnPlateau: when the rate is reduced, and that steps follow it."""

from __future__ import annotations

import pytest

import nnkit
from tests.callbacks.runs import Scripted, StopAfter, fit, resume, trainer, weights


class Rates(nnkit.Callback):
    """The rate that each epoch is made with; listed last, it sees what others have set."""

    def __init__(self):
        self.rates = []

    def on_fit_begin(self, trainer):
        self.rates.append(trainer.optimizer.lr)

    def on_epoch_end(self, trainer):
        self.rates.append(trainer.optimizer.lr)


VALUES = [5, 4, 4, 4, 3, 3, 3, 3, 3, 3]


@pytest.mark.parametrize(
    ("options", "reduced_after"),
    [
        ({"patience": 2}, [3, 6, 8]),
        ({"patience": 1}, [2, 3, 5, 6, 7, 8, 9]),
        ({"patience": 2, "cooldown": 2}, [3, 7]),
        ({"patience": 2, "cooldown": 9}, [3]),
        ({"patience": 3, "min_delta": 1.5}, [3, 7]),
        ({"patience": 9}, []),
    ],
)  # fmt: skip
@pytest.mark.parametrize("parted", [None, 4, 7])
def test_when(options, reduced_after, parted):
    """Epochs count from 0; a run that is resumed, with another one, reduces in the same ones."""
    one, rates, figures = trainer(lr=1.0), Rates(), Scripted(val_loss=VALUES)
    make = lambda: nnkit.ReduceOnPlateau(factor=0.5, **options)  # noqa: E731
    fit(one, 10, figures, make(), rates, *[] if parted is None else [StopAfter(parted)])
    if parted is not None:
        resume(one, figures, make(), rates)
        del rates.rates[parted]  # which both parts have
    want = [1.0]
    for epoch in range(10):
        want.append(want[-1] / 2 if epoch in reduced_after else want[-1])
    assert rates.rates == want


def test_the_smallest_rate(caplog):
    one, rates = trainer(lr=1.0), Rates()
    plateau = nnkit.ReduceOnPlateau("loss", patience=1, min_lr=0.02)
    with caplog.at_level("INFO", "nnkit"):
        fit(one, 4, Scripted(loss=[1, 1, 1, 1]), plateau, rates)
    assert rates.rates == [1, 1, 0.1, 0.02, 0.02]
    assert caplog.messages == [
        "learning rate reduced from 1 to 0.1 after epoch 2: loss has not improved for 1 epoch",
        "learning rate reduced from 0.1 to 0.02 after epoch 3: loss has not improved for 1 epoch",
    ]


@pytest.mark.parametrize("schedule", [None, nnkit.schedules.Cosine()])
def test_captured_steps_follow_it(backend, schedule):
    """As where the rate is changed by hand; and a schedule goes on from it."""

    class ByHand(nnkit.Callback):
        def on_epoch_end(self, trainer):
            if len(trainer.history) > 1:
                trainer.optimizer.lr *= 0.5

    results = []
    for callback in (ByHand(), nnkit.ReduceOnPlateau("loss", 0.5, 1, min_delta=99), None):
        one = trainer(backend)
        fit(one, 4, *[callback] * (callback is not None), schedule=schedule)
        results.append(weights(one))
    assert results[0] == results[1] != results[2]


def test_a_loaded_run_ends_as_the_whole_one(tmp_path):
    results = []
    for stop in (9, 5):
        one, make = trainer(lr=0.5), lambda: nnkit.ReduceOnPlateau("loss", 0.5, 2, min_delta=0.3)
        fit(one, 9, make(), StopAfter(stop))
        if stop == 5:
            one.save(tmp_path / "run")
            one = nnkit.Trainer.load(tmp_path / "run", "numpy")
            resume(one, make())
        results.append((weights(one), one.optimizer.lr))
    assert results[0] == results[1]
    assert results[0][1] < 0.5
