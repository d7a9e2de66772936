"""Runs on several ranks: saved and resumed, checked at the start, ended together."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest

import nnkit
from nnkit import Trainer, layers
from nnkit.distributed.contract import RankError
from nnkit.layers.workspace import Share
from nnkit.training.callbacks import Callback
from tests.ranks import on_ranks


def network(seed=1, **options):
    return nnkit.Sequential(
        layers.Linear(12, 8), layers.Tanh(), layers.Linear(8, 3), seed=seed, **options
    )


@pytest.fixture
def data(rng):
    return rng.standard_normal((50, 12)), rng.integers(0, 3, 50)


@pytest.fixture
def fit(data):
    """Return a function that trains as a rank, with other options, data or parts."""

    def work(ranks, x=data[0], t=data[1], model=None, loss=None, optimizer=None, **options):
        chosen = optimizer or nnkit.Adam(0.01)
        trainer = Trainer(model or network(dtype="float64"), loss, chosen, ranks)
        trainer.fit(x, t, **{"epochs": 4, "batch_size": 16, "progress": False} | options)
        return trainer

    return work


class StopAfter(Callback):
    def __init__(self, steps):
        self.left = steps

    def on_step_end(self, trainer):
        self.left -= 1
        trainer.stop |= self.left == 0


# ---------------------------------------------------------------------- saved and resumed


@pytest.mark.parametrize(("before", "after"), [(2, 2), (2, 3), (2, None), (None, 4)])
def test_resumed_in_the_middle_of_an_epoch(before, after, fit, data, tmp_path):
    path = tmp_path / "run.safetensors"

    def begin(ranks):
        fit(ranks, callbacks=[StopAfter(6)]).save(path)

    def go_on(ranks):
        trainer = Trainer.load(path, communicator=ranks)
        assert (trainer.progress.epoch, trainer.progress.step) == (1, 2)
        trainer.resume(*data, progress=False)
        return trainer

    def ranks_do(work, size):
        return [work(None)] if size is None else on_ranks(size, work)

    ranks_do(begin, before)
    whole = ranks_do(fit, before)[0]
    for each in ranks_do(go_on, after):
        if before == after:
            assert each.history.step_loss == whole.history.step_loss
            np.testing.assert_array_equal(each.model(data[0]), whole.model(data[0]))
        np.testing.assert_allclose(each.history.step_loss, whole.history.step_loss, 1e-9)
        np.testing.assert_allclose(each.model(data[0]), whole.model(data[0]), 1e-7)


def test_rank_0_saves_and_all_load(fit, tmp_path):
    path = tmp_path / "run.safetensors"

    def work(ranks):
        trainer = fit(ranks, epochs=1, callbacks=[nnkit.Checkpoint(tmp_path / "{epoch}")])
        trainer.save(path, rank=ranks.rank)
        return Trainer.load(path, communicator=ranks).extra

    assert on_ranks(3, work) == [{"rank": 0}] * 3
    assert sorted(file.name for file in tmp_path.iterdir()) == ["1", "run.safetensors"]


def test_what_writes_and_shows_does_so_on_rank_0(fit, tmp_path, capsys):
    class Everywhere(Callback):
        ranks: tuple[int, ...] = ()

        def on_fit_begin(self, trainer):
            Everywhere.ranks += (trainer.communicator.rank,)

    def work(ranks):
        log = nnkit.CSVLogger(tmp_path / f"{ranks.rank}.csv")
        fit(ranks, progress=True, callbacks=[log, Everywhere()])

    on_ranks(2, work)
    assert [file.name for file in tmp_path.iterdir()] == ["0.csv"]
    assert sorted(Everywhere.ranks) == [0, 1]
    assert capsys.readouterr().out.count("epoch 1/4") == 1


def test_warnings_are_those_of_rank_0(fit, data):
    options = {"t": np.eye(3)[data[1]], "loss": "mse", "on_nan": "warn"}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        on_ranks(2, lambda ranks: fit(ranks, optimizer=nnkit.SGD(1e200), **options))
    assert [each.category for each in told] == [nnkit.DivergenceWarning]


def test_running_averages_are_those_of_rank_0(fit):
    """Of a layer that keeps its own: evaluation is one network's, on all ranks."""

    class Last(layers.Layer):
        buffer_names = ("seen",)

        def __init__(self):
            self.seen = np.zeros(3)

        def forward(self, x):
            if self.training:
                self.seen[...] = x[:3, 0]
            return x

        def backward(self, dy):
            return dy

    def work(ranks):
        model = nnkit.Sequential(layers.Linear(12, 3), Last(), seed=1, backend="numpy")
        return fit(ranks, model=model, compile=False).model[1].seen.tolist()

    first, second = on_ranks(2, work)
    assert first == second != [0, 0, 0]


# ---------------------------------------------------------------------- checked at the start

LOAD = "give the model a seed, or load one file on all ranks"
ALIKE = "give all ranks the same"
DATA = (
    "every rank must be given all of the data, of which it takes its share; a memory map is read "
    "in parts"
)


def changed(array, **places):
    array = array.copy()
    array[0] = array[0] + 1 if array.ndim > 1 else (array[0] + 1) % 3
    return array


DIFFERENCES = {
    "seed": ({"model": lambda: network(2)}, f"another seed of the model, 2 and not 1: {LOAD}"),
    "model": (
        {"model": lambda: nnkit.Sequential(layers.Linear(12, 3), seed=1)},
        f"another model: {ALIKE}",
    ),
    "dtype": ({"model": lambda: network(dtype="float64")}, f"another model: {ALIKE}"),
    "loss": (
        {"loss": lambda: nnkit.SoftmaxCrossEntropy(0.1)},
        "another loss, SoftmaxCrossEntropy(label_smoothing=0.1) and not "
        f"SoftmaxCrossEntropy(label_smoothing=0.0): {ALIKE}",
    ),
    "epochs": ({"epochs": lambda: 3}, f"other epochs, 3 and not 4: {ALIKE}"),
    "order": ({"seed": lambda: 5}, f"another seed, 5 and not 1: {ALIKE}"),
    "schedule": (
        {"schedule": nnkit.schedules.Cosine},
        f"another schedule, Cosine(end=0.0) and not None: {ALIKE}",
    ),
}


@pytest.mark.parametrize("case", DIFFERENCES)
def test_a_difference_is_found_at_the_start(case, fit):
    options, told = DIFFERENCES[case]
    what, _, remedy = told.rpartition(": ")
    head, _, values = what.partition(",")
    message = f"rank 1 has {head} than rank 0{',' if values else ''}{values}: {remedy}"
    errors = []

    def work(ranks):
        parts = {"model": network} | (options if ranks.rank else {})
        try:
            fit(ranks, **{name: make() for name, make in parts.items()})
        except ValueError as error:
            errors.append(str(error))

    on_ranks(2, work)
    assert errors == [message] * 2


def test_other_data_are_found_at_the_start(fit, data):
    x, t = data
    errors = []

    def work(ranks):
        for wrong in ({"x": changed(x)}, {"t": changed(t)}, {"x": np.float32(x)}):
            with pytest.raises(ValueError) as caught:
                fit(ranks, **(wrong if ranks.rank else {}))
            errors.append(str(caught.value))
        validation = (changed(x), t) if ranks.rank else (x, t)
        with pytest.raises(ValueError, match="rank 1 has other validation data than rank 0: "):
            fit(ranks, validation_data=validation)
        with pytest.raises(ValueError, match=r"than rank 0, none and not x of shape \(50, 12\)"):
            fit(ranks, validation_data=None if ranks.rank else (x, t))
        fit(ranks)

    on_ranks(2, work)
    assert {*errors} == {f"rank 1 has other training data than rank 0: {DATA}"}


def test_ranks_that_differ_are_named(fit):
    def work(ranks):
        with pytest.raises(ValueError, match="ranks 1, 2 and 3 have another seed than "):
            fit(ranks, seed=min(ranks.rank, 1))

    on_ranks(4, work)


def test_a_batch_has_an_example_for_each_rank(fit):
    message = (
        "batch_size 2 is less than the 3 ranks, which each need an example: give a batch_size of "
        "at least 3, or start fewer ranks"
    )

    def work(ranks):
        with pytest.raises((ValueError, RankError)) as caught:
            fit(ranks, batch_size=2)
        return str(caught.value)

    assert any(told == message for told in on_ranks(3, work))


def test_no_communicator():
    message = "communicator must be that of nnkit.distributed.communicator(), or None, not 2"
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        Trainer(network(), communicator=2)


# ---------------------------------------------------------------------- ended together


class Raise(Callback):
    def __init__(self, error):
        self.error = error

    def on_step_end(self, trainer):
        if trainer.progress.epoch == 1:
            raise self.error


@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()], ids=repr)
def test_a_rank_that_raises_ends_the_others(error, fit):
    def work(ranks):
        callbacks = [Raise(error)] if ranks.rank == 1 else []
        with pytest.raises(type(error) if ranks.rank == 1 else RankError) as caught:
            fit(ranks, callbacks=callbacks)
        return str(caught.value)

    reason = f"{type(error).__name__}: {error}".rstrip(": ")
    assert on_ranks(2, work)[0] == f"rank 1 of 2 ended: {reason}"


def test_a_metric_that_raises(fit, data):
    def wrong(t, y):
        raise ZeroDivisionError("no such class")

    def work(ranks):
        with pytest.raises(RankError if ranks.rank else ZeroDivisionError) as caught:
            fit(ranks, validation_data=data, metrics={"own": wrong})
        return str(caught.value)

    assert on_ranks(2, work)[1] == "rank 0 of 2 ended: ZeroDivisionError: no such class"


def test_all_ranks_see_that_training_diverges(fit, data):
    t = data[1]

    def work(ranks):
        with pytest.raises(nnkit.DivergenceError) as caught:
            fit(ranks, t=np.eye(3)[t], loss="mse", optimizer=nnkit.SGD(1e200))
        return str(caught.value)

    first, second = on_ranks(2, work)
    assert first == second


def test_ctrl_c_on_one_rank_is_one_on_all(fit, monkeypatch):
    """After the same step: rank 0 may save, and the run goes on from there."""

    def interrupted_on(rank):
        class Loop(nnkit.training.loop.Loop):
            def finish(self):
                self.check = lambda: check(self)
                super().finish()

        def check(loop):
            if loop.ranks.rank == rank and loop.progress.epoch == 2:
                raise KeyboardInterrupt

        return Loop

    monkeypatch.setattr("nnkit.training.trainer.Loop", interrupted_on(1))
    trainers = {}

    class Keep(Callback):
        def on_fit_begin(self, trainer):
            trainers[trainer.communicator.rank] = trainer

    def work(ranks):
        with pytest.raises(KeyboardInterrupt):
            fit(ranks, callbacks=[Keep()])
        ranks.gather("still there")

    on_ranks(2, work)
    assert trainers[0].progress == trainers[1].progress
    assert trainers[0].progress.epoch == 2


def test_a_copy_is_alone(fit):
    import copy

    def work(ranks):
        trainer = fit(ranks, epochs=1)
        return copy.deepcopy(trainer).communicator, trainer.communicator is ranks

    assert on_ranks(2, work) == [(None, True)] * 2


# ---------------------------------------------------------------------- what layers are told


def test_layers_know_their_share(fit):
    seen = []

    class Watch(layers.Layer):
        def forward(self, x):
            if self.training:
                seen.append((len(x), self.share))
            return x

        def backward(self, dy):
            return dy

    def work(ranks):
        model = nnkit.Sequential(layers.Linear(12, 3), Watch(), seed=1, backend="numpy")
        fit(ranks, model=model, epochs=1, batch_size=48, compile=False)
        return ranks

    ranks = on_ranks(4, work)
    expected = [(12, Share(each, 12 * i, 12, 48)) for i, each in enumerate(ranks)]
    expected += [(i % 2, Share(each, i // 2, i % 2, 2)) for i, each in enumerate(ranks)]
    assert sorted(seen, key=repr) == sorted(expected, key=repr)
