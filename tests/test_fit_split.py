"""`validation_split`: a part of the examples that is never trained on."""

from __future__ import annotations

import numpy as np
import pytest

import nnkit
from nnkit.training import streaming
from nnkit.training.splitting import split


def network(backend):
    return nnkit.Sequential(nnkit.Linear(6, 3), seed=0, backend=backend)


@pytest.fixture
def data(rng):
    """Sorted by class, as many data are."""
    t = np.arange(50) // 17
    x = rng.normal(size=(50, 6)).astype("f")
    x[np.arange(50), t] += 3
    return x, t


@pytest.mark.parametrize("host", [False, True])
def test_it_is_training_on_the_one_and_validating_with_the_other(backend, data, monkeypatch, host):
    x, t = data
    rows, aside = split(t, 10, seed=0)
    apart = nnkit.Trainer(network(backend))
    whole = nnkit.Trainer(network(backend))
    expected = apart.fit(x[rows], t[rows], 3, 8, validation_data=(x[aside], t[aside]))
    if host:
        monkeypatch.setattr(backend, "room", lambda: 0, raising=False)
        monkeypatch.setattr(streaming, "BLOCK_BYTES", 20 * x[0].nbytes)
    history = whole.fit(x, t, 3, 8, validation_split=0.2)
    assert whole.progress.examples == 40
    for name in ("step_loss", "val_loss", "val_accuracy"):
        assert getattr(history, name) == getattr(expected, name)


def test_what_is_set_aside_does_not_matter_to_training(data):
    x, t = data
    _, aside = split(t, 10, seed=0)
    results = []
    for factor in (1, -2):
        changed = x.copy()
        changed[aside] *= factor
        trainer = nnkit.Trainer(network("numpy"))
        trainer.fit(changed, t, 3, 8, validation_split=0.2)
        results.append(trainer.history.step_loss)
    assert results[0] == results[1]


class TestSplit:
    @pytest.mark.parametrize("form", ["labels", "column", "one-hot", "names", "reals"])
    def test_each_class_gives_its_share(self, form):
        labels = np.repeat([0, 1, 2], [60, 30, 10])
        t = {
            "labels": labels,
            "column": labels[:, None],
            "one-hot": np.eye(3)[labels],
            "names": np.array(["cat", "dog", "eel"])[labels],
            "reals": labels.astype(float),
        }[form]
        rows, aside = split(t, 20, seed=1)
        assert np.bincount(labels[aside]).tolist() == [12, 6, 2]
        assert sorted([*rows, *aside]) == list(range(100))

    @pytest.mark.parametrize("aside", [1, 5, 17, 33])
    @pytest.mark.parametrize("classes", [1, 2, 7, 34])
    def test_as_many_as_asked_for(self, classes, aside):
        labels = np.arange(34) % classes
        rows, drawn = split(labels, aside, seed=0)
        assert (len(rows), len(drawn)) == (34 - aside, aside)
        share = np.bincount(labels, minlength=classes) * aside / 34
        assert (abs(np.bincount(labels[drawn], minlength=classes) - share) < 1).all()

    def test_it_is_random_and_depends_on_the_seed_alone(self):
        t = np.zeros(1000, int)
        drawn = [tuple(split(t, 100, seed)[1]) for seed in (0, 0, 1, -1)]
        assert drawn[0] == drawn[1]
        assert len(set(drawn)) == 3
        assert 400 < np.mean(drawn[0]) < 600, "not the first ones, nor the last"

    def test_numbers_are_drawn_whatever_they_are(self, rng):
        for t in (rng.normal(size=40), rng.normal(size=(40, 2))):
            assert len(split(t, 8, seed=0)[1]) == 8


def test_a_second_fit_sets_the_same_aside(data):
    seen = []
    trainer = nnkit.Trainer(network("numpy"), optimizer=nnkit.SGD(1e-30))
    for _ in range(2):
        seen.append(trainer.fit(*data, 1, 8, validation_split=0.2).val_loss)
    assert seen[0] == seen[1]


def test_a_resumed_run_sets_the_same_aside(data, tmp_path):
    class Stop(nnkit.Callback):
        def on_step_end(self, trainer):
            trainer.stop = trainer.progress.epoch == 1

    whole, part = nnkit.Trainer(network("numpy")), nnkit.Trainer(network("numpy"))
    whole.fit(*data, 3, 8, validation_split=0.2, seed=5)
    part.fit(*data, 3, 8, validation_split=0.2, seed=5, callbacks=[Stop()])
    part.save(tmp_path / "run")
    again = nnkit.Trainer.load(tmp_path / "run", "numpy")
    again.resume(*data)
    assert again.history.step_loss == whole.history.step_loss
    assert again.history.val_loss == whole.history.val_loss
    with pytest.raises(ValueError, match="on 40 examples, but x has 49, 39 without those set"):
        again.resume(data[0][:49], data[1][:49], epochs=4)


@pytest.mark.parametrize("value", [0, 1, -0.1, 1.5, True, "0.1", np.nan])
def test_a_part_that_there_is_not(data, value):
    with pytest.raises(ValueError, match="validation_split must be a number between 0 and 1, not"):
        nnkit.Trainer(network("numpy")).fit(*data, validation_split=value)


def test_nothing_left(data):
    x, t = data
    for n, part, left in ((1, 0.5, "1 for training and 0"), (3, 0.9, "0 for training and 3")):
        with pytest.raises(ValueError, match=f"leaves {left} for validation"):
            nnkit.Trainer(network("numpy")).fit(x[:n], t[:n], validation_split=part)


def test_both(data):
    trainer = nnkit.Trainer(network("numpy"))
    with pytest.raises(ValueError, match="give validation_data or validation_split, not both"):
        trainer.fit(*data, 1, validation_split=0.1, validation_data=data)
    trainer.fit(*data, 1, validation_split=0.1)
    with pytest.raises(ValueError, match="not both"):
        trainer.resume(*data, 2, validation_data=data)
