"""What restrains training: clipping, accumulated gradients, frozen layers, early stopping."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import nnkit


def network(backend, dtype="float64", dropout=0.0):
    return nnkit.Sequential(
        nnkit.Linear(6, 16),
        nnkit.Tanh(),
        nnkit.Dropout(dropout),
        nnkit.Sequential(nnkit.Linear(16, 8), nnkit.Tanh(), backend="numpy", seed=1),
        nnkit.Linear(8, 3),
        seed=0,
        backend=backend,
        dtype=dtype,
    )


@pytest.fixture
def data(rng):
    t = rng.integers(0, 3, 50)
    x = rng.normal(size=(50, 6)).astype("f")
    x[np.arange(50), t] += 3
    return x, t


def host(model, array):
    return np.array(model.backend.to_numpy(array))


def weights(model):
    return host(model, model.flat.values)


class StopAt(nnkit.Callback):
    """End training after so many updates."""

    def __init__(self, updates):
        self.left = updates

    def on_step_end(self, trainer):
        self.left -= 1
        trainer.stop = self.left == 0


# ---------------------------------------------------------------------- clipping by norm


class TestClipping:
    def gradient(self, backend, scale, clip_norm):
        """Change that one step of SGD makes, and its gradient."""
        model = nnkit.Sequential(nnkit.Linear(3, 2), nnkit.Linear(2, 2), backend=backend, seed=0)
        before = weights(model)
        model([[1.0, -2.0, 3.0]])
        model.backward([[scale, -2 * scale]])
        g = host(model, model.flat.grads)
        nnkit.SGD(lr=1.0, clip_norm=clip_norm).step(model)
        return before - weights(model), g

    def test_a_long_gradient_keeps_its_direction(self, backend):
        change, g = self.gradient(backend, 100.0, 0.5)
        assert np.linalg.norm(g) > 100
        assert np.linalg.norm(change) == pytest.approx(0.5, rel=1e-4)
        np.testing.assert_allclose(change / 0.5, g / np.linalg.norm(g), atol=1e-5)

    def test_a_short_one_is_left_alone(self, backend):
        (change, g), (unclipped, _) = (self.gradient(backend, 0.1, limit) for limit in (50, None))
        assert 0 < np.linalg.norm(g) < 50
        assert change.tobytes() == unclipped.tobytes()

    def test_penalties_are_not_clipped(self, backend):
        model = nnkit.Sequential(
            nnkit.Linear(1, 1, bias=False, init=[[10.0]]), backend=backend, dtype="float64"
        )
        model([[1.0]])
        model.backward([[100.0]])
        nnkit.SGD(lr=0.1, clip_norm=1.0, weight_decay=0.5).step(model)
        assert host(model, model[0].W.value).item() == pytest.approx(10 - 0.1 * (1 + 5))

    def test_training_that_would_diverge(self, backend, rng):
        x = 100 * rng.normal(size=(40, 6))
        t = x.sum(axis=1, keepdims=True)
        results = []
        for clip_norm in (None, 1.0):
            model = nnkit.Sequential(nnkit.Linear(6, 1), backend=backend, seed=0)
            optimizer = nnkit.SGD(0.01, clip_norm=clip_norm)
            trainer = nnkit.Trainer(model, nnkit.HalfSquaredError(), optimizer)
            results.append(trainer.fit(x, t, 30, 10, on_nan="ignore").loss)
        assert not np.isfinite(results[0][-1])
        assert results[1][-1] < results[1][0]

    def test_a_checkpoint_keeps_it(self, tmp_path):
        trainer = nnkit.Trainer(network("numpy"), optimizer=nnkit.Adam(clip_norm=2, l1=0.5))
        trainer.save(tmp_path / "run")
        loaded = nnkit.Trainer.load(tmp_path / "run", backend="numpy")
        assert loaded.optimizer.config() == trainer.optimizer.config()
        assert (loaded.optimizer.clip_norm, loaded.optimizer.l1) == (2.0, 0.5)


# ---------------------------------------------------------------------- accumulated gradients


class TestAccumulation:
    @pytest.mark.parametrize(("batch_size", "accumulate"), [(8, 3), (4, 5), (5, 10), (10, 7)])
    @pytest.mark.parametrize("compile", [True, False])
    def test_equals_a_larger_batch(self, backend, data, batch_size, accumulate, compile):
        """50 examples: the last batch is smaller, the last group has fewer batches, or neither."""
        small = nnkit.Trainer(network(backend), optimizer=nnkit.SGD(0.1, 0.9, clip_norm=0.5))
        large = nnkit.Trainer(network(backend), optimizer=nnkit.SGD(0.1, 0.9, clip_norm=0.5))
        options = {"accumulate": accumulate, "schedule": nnkit.schedules.Cosine()}
        history = small.fit(*data, 3, batch_size, compile=compile, **options)
        together = min(batch_size * accumulate, 50)
        expected = large.fit(*data, 3, together, schedule=nnkit.schedules.Cosine())
        np.testing.assert_allclose(weights(small.model), weights(large.model), rtol=1e-9)
        np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-9)
        assert history.accuracy == pytest.approx(expected.accuracy)
        assert len(history.step_loss) == 3 * -(-50 // batch_size)

    @pytest.mark.parametrize("dropout", [0.0, 0.3])
    def test_captured_or_not_is_the_same_bit_for_bit(self, backend, data, dropout):
        results = []
        for compile in (True, False):
            trainer = nnkit.Trainer(network(backend, "float32", dropout))
            history = trainer.fit(*data, 3, 8, accumulate=2, compile=compile)
            results.append((weights(trainer.model).tobytes(), history.step_loss))
        assert results[0] == results[1]

    def test_updates_are_counted(self, backend, data):
        trainer, ends = nnkit.Trainer(network(backend)), []

        class Record(nnkit.Callback):
            def on_step_end(self, trainer):
                ends.append(trainer.progress.step)

        trainer.fit(*data, 2, 8, accumulate=3, callbacks=[Record()])
        assert ends == [3, 6, 7] * 2
        assert host(trainer.model, trainer.optimizer.counters)[1] == 6

    @pytest.mark.parametrize("updates", [1, 3, 4])
    def test_stop_save_load_resume_is_bit_for_bit(self, backend, data, tmp_path, updates):
        whole, part = (nnkit.Trainer(network(backend, dropout=0.3)) for _ in range(2))
        whole.fit(*data, 2, 8, accumulate=3)
        part.fit(*data, 2, 8, accumulate=3, callbacks=[StopAt(updates)])
        part.save(tmp_path / "run")
        again = nnkit.Trainer.load(tmp_path / "run", backend=backend)
        again.resume(*data)
        assert weights(again.model).tobytes() == weights(whole.model).tobytes()

    @pytest.mark.parametrize("value", [0, -1, 1.5])
    def test_bad_numbers(self, data, value):
        with pytest.raises(ValueError, match="accumulate must be an integer of at least 1"):
            nnkit.Trainer(network("numpy")).fit(*data, accumulate=value)


# ---------------------------------------------------------------------- frozen layers

EVERY_OPTIMIZER = [
    lambda: nnkit.SGD(0.1, 0.9, weight_decay=0.1, clip_norm=0.1),
    lambda: nnkit.AdaGrad(0.1, l1=0.1),
    lambda: nnkit.RMSProp(0.01),
    lambda: nnkit.AdamW(0.01),
]


class TestFreezing:
    def values(self, model):
        return {name: host(model, p.value).copy() for name, p in model.named_parameters()}

    @pytest.mark.parametrize("optimizer", EVERY_OPTIMIZER, ids=lambda make: repr(make()))
    @pytest.mark.parametrize("frozen", [(0,), (3,), (4,), (0, 4), (3, 4)], ids=str)
    def test_frozen_layers_stay_and_others_learn(self, backend, data, optimizer, frozen):
        model = network(backend)
        for i in frozen:
            model[i].frozen = True
        before = self.values(model)
        nnkit.Trainer(model, optimizer=optimizer()).fit(*data, 2, 8)
        for name, value in self.values(model).items():
            stays = int(name[0]) in frozen
            assert (value.tobytes() == before[name].tobytes()) == stays, name

    def test_the_others_learn_as_if_frozen_ones_had_no_parameters(self, backend, data):
        """Clipping leaves out the gradients of frozen layers."""
        x, t = data
        model = network(backend)
        model[0].frozen = model[3].frozen = True
        model(x)
        features = host(model, model[4].x)
        last = nnkit.Sequential(nnkit.Linear(8, 3), backend=backend, dtype="float64")
        last[0].W.value, last[0].b.value = model[4].W.value, model[4].b.value
        for network_, inputs in ((model, x), (last, features)):
            optimizer = nnkit.SGD(0.5, 0.9, weight_decay=0.01, clip_norm=0.05)
            nnkit.Trainer(network_, optimizer=optimizer).fit(inputs, t, 2, 8, seed=3)
        np.testing.assert_allclose(
            host(model, model[4].W.value), host(last, last[0].W.value), rtol=1e-9
        )

    def test_frozen_and_thawed_in_a_run(self, backend, data):
        """Captured or not is the same, bit for bit; momentum waits for the layer."""

        class Freeze(nnkit.Callback):
            def on_epoch_end(self, trainer):
                epoch = len(trainer.history)
                trainer.model[0].frozen = epoch == 1
                trainer.model[4].frozen = epoch >= 2
                values.append(self.parent.values(trainer.model))

        Freeze.parent = self
        results = []
        for compile in (True, False):
            values, model = [], network(backend, "float32")
            trainer = nnkit.Trainer(model, optimizer=nnkit.SGD(0.05, 0.9))
            trainer.fit(*data, 4, 8, callbacks=[Freeze()], compile=compile)
            results.append(weights(model).tobytes())
        assert results[0] == results[1]
        first, last = ([epoch[name] for epoch in values] for name in ("0.weight", "4.weight"))
        assert (first[0] == first[1]).all()
        assert (first[1] != first[2]).any()
        assert (last[0] != last[1]).any()
        assert (last[1] == last[3]).all()

    def test_all_frozen(self, backend, data):
        model = network(backend)
        model.frozen = True
        before = weights(model)
        nnkit.Trainer(model, optimizer=nnkit.Adam(clip_norm=1.0)).fit(*data, 1, 8)
        assert weights(model).tobytes() == before.tobytes()

    def test_what_counts_as_frozen(self):
        model = network("numpy")
        assert not model.frozen
        assert not nnkit.ReLU().frozen
        model[0].frozen = model[3].frozen = True
        assert model[3][0].frozen
        assert not model.frozen
        model[4].frozen = True
        assert model.frozen
        model.frozen = False
        assert not any(p.frozen for p in model.parameters())

    def test_a_checkpoint_and_a_move_keep_it(self, backend, data, tmp_path):
        whole, part = (nnkit.Trainer(network(backend)) for _ in range(2))
        for trainer in (whole, part):
            trainer.model[3].frozen = True
        whole.fit(*data, 2, 8)
        part.fit(*data, 2, 8, callbacks=[StopAt(5)])
        part.save(tmp_path / "run")
        again = nnkit.Trainer.load(tmp_path / "run", backend="numpy")
        again.model.to(backend)
        again.resume(*data)
        assert [p.frozen for p in again.model.parameters()] == [False, False, True, True] + [
            False
        ] * 2
        assert weights(again.model).tobytes() == weights(whole.model).tobytes()


# ---------------------------------------------------------------------- early stopping


class Scripted(nnkit.Callback):
    """Put given figures into the history, and mark the parameters with the epoch."""

    def __init__(self, **figures):
        self.figures = figures

    def on_epoch_end(self, trainer):
        epoch = len(trainer.history) - 1
        for name, values in self.figures.items():
            getattr(trainer.history, name)[epoch:] = [values[epoch]]
        trainer.model.flat.values[...] = epoch


def stopped(backend, stopping, epochs=8, **figures):
    """Epochs made, and the epoch whose parameters the model has afterwards."""
    model = nnkit.Sequential(nnkit.Linear(2, 2), backend=backend, seed=0)
    trainer = nnkit.Trainer(model, optimizer=nnkit.SGD(1e-9))
    data = np.ones((4, 2)), np.zeros(4, int)
    callbacks = [Scripted(**figures), stopping]
    trainer.fit(*data, epochs, 4, validation_data=data, callbacks=callbacks)
    return len(trainer.history), weights(model)[0]


class TestEarlyStopping:
    LOSSES = [5, 4, 3, 3.5, 3.1, 3, 2.9, 2.8]  # noqa: RUF012

    def test_stops_and_restores(self, backend):
        stopping = nnkit.EarlyStopping(patience=2)
        assert stopped(backend, stopping, val_loss=self.LOSSES) == (5, 2)
        assert (stopping.stopped, stopping.best_epoch) == (True, 2)

    @pytest.mark.parametrize(
        ("options", "epochs", "restored"),
        [
            ({"patience": 1}, 4, 2),
            ({"patience": 3}, 6, 2),
            ({"patience": 4}, 8, 7),
            ({"patience": 2, "restore_best": False}, 5, 4),
            ({"patience": 4, "min_delta": 0.15}, 7, 2),
            ({"patience": 4, "min_delta": 0.05}, 8, 7),
        ],
    )
    def test_options(self, options, epochs, restored):
        stopping = nnkit.EarlyStopping(**options)
        assert stopped("numpy", stopping, val_loss=self.LOSSES) == (epochs, restored)

    @pytest.mark.parametrize("monitor", ["accuracy", "val_accuracy"])
    def test_accuracies_are_to_rise(self, monitor):
        stopping = nnkit.EarlyStopping(monitor, patience=2)
        figures = {monitor: [0.1, 0.3, 0.6, 0.5, 0.6, 0.9]}
        assert stopped("numpy", stopping, **figures) == (5, 2)

    def test_the_best_of_a_whole_run_is_restored_too(self):
        stopping = nnkit.EarlyStopping("loss", patience=5)
        assert stopped("numpy", stopping, epochs=4, loss=[3, 1, 2, 2]) == (4, 1)
        assert not stopping.stopped

    def test_nan_is_no_improvement(self):
        nan = float("nan")
        stopping = nnkit.EarlyStopping(patience=2)
        assert stopped("numpy", stopping, val_loss=[nan] * 8) == (2, 1)
        assert stopping.best_epoch is None
        assert stopped("numpy", stopping, val_loss=[2, nan, nan, 1]) == (3, 0)

    def test_it_serves_one_run_after_the_other(self):
        stopping = nnkit.EarlyStopping(patience=2)
        for _ in range(2):
            assert stopped("numpy", stopping, val_loss=self.LOSSES) == (5, 2)

    def test_an_interrupted_run_is_not_set_back(self, backend, data):
        """Stopping for another reason and going on gives the uninterrupted run, bit for bit."""
        results = []
        for updates in (None, 9):
            trainer = nnkit.Trainer(network(backend), optimizer=nnkit.SGD(0.5))
            stopping = nnkit.EarlyStopping("loss", patience=50)
            stop = [] if updates is None else [StopAt(updates)]
            trainer.fit(*data, 4, 8, callbacks=[stopping, *stop])
            if updates is not None:
                trainer.resume(*data, callbacks=[stopping])
            results.append((weights(trainer.model).tobytes(), stopping.best_epoch))
        assert results[0] == results[1]

    class StopAfter(nnkit.Callback):
        def __init__(self, epochs):
            self.epochs = epochs

        def on_epoch_end(self, trainer):
            trainer.stop = len(trainer.history) >= self.epochs

    def unseen(self, rng, backend="numpy"):
        """A trainer, and random labels, so that the loss of unseen examples soon rises."""
        x, t = rng.normal(size=(80, 6)), rng.integers(0, 3, 80)
        trainer = nnkit.Trainer(network(backend), optimizer=nnkit.Adam(0.05))
        return trainer, (x[:40], t[:40]), {"validation_data": (x[40:], t[40:])}

    @pytest.mark.parametrize("way", ["file", "copy"])
    def test_the_best_parameters_are_kept_with_the_run(self, backend, tmp_path, way):
        """Saved, loaded and resumed with a new callback, it ends as the uninterrupted run."""
        results = []
        for stop in (99, 7):
            trainer, data, options = self.unseen(np.random.default_rng(3), backend)
            callbacks = [nnkit.EarlyStopping(patience=6), self.StopAfter(stop)]
            trainer.fit(*data, 40, 20, **options, callbacks=callbacks)
            assert callbacks[0].best_epoch < 7
            if stop == 7:
                if way == "file":
                    trainer.save(tmp_path / "run")
                    trainer = nnkit.Trainer.load(tmp_path / "run", backend)
                    trainer.save(tmp_path / "again")  # nobody asked for them meanwhile
                    trainer = nnkit.Trainer.load(tmp_path / "again", backend)
                else:
                    trainer = copy.deepcopy(trainer)
                callbacks = [nnkit.EarlyStopping(patience=6)]
                trainer.resume(*data, **options, callbacks=callbacks)
            assert callbacks[0].stopped
            results.append((weights(trainer.model).tobytes(), callbacks[0].best_epoch))
        assert results[0] == results[1]

    @pytest.mark.parametrize("without", ["callback", "restoring", "this figure"])
    def test_a_run_whose_best_parameters_were_not_kept_says_so(self, rng, tmp_path, without):
        trainer, data, options = self.unseen(rng)
        before = {
            "callback": [],
            "restoring": [nnkit.EarlyStopping(restore_best=False, patience=9)],
            "this figure": [nnkit.EarlyStopping("loss", patience=9)],
        }
        trainer.fit(*data, 8, 20, **options, callbacks=before[without])
        trainer.save(tmp_path / "run")
        again = nnkit.Trainer.load(tmp_path / "run", "numpy")
        best = int(np.argmin(trainer.history.val_loss)) + 1
        assert best < 8
        with pytest.warns(
            UserWarning, match=f"parameters of epoch {best}, the best so far, were not"
        ):
            again.resume(*data, 9, **options, callbacks=[nnkit.EarlyStopping(patience=9)])

    def test_another_run_of_the_trainer_forgets_them(self, rng, tmp_path):
        trainer, data, options = self.unseen(rng)
        trainer.fit(*data, 2, 20, **options, callbacks=[nnkit.EarlyStopping()])
        assert trainer.kept().keys() == {"EarlyStopping.0"}
        trainer.fit(*data, 2, 20, **options)
        assert trainer.kept() == {}

    def test_callbacks_of_ones_own_keep_what_they_like(self, rng, tmp_path):
        class Mean(nnkit.Callback):
            """The mean of the weights over the epochs."""

            def __init__(self):
                self.sum = 0.0

            def on_epoch_end(self, trainer):
                self.sum += trainer.model.flat.values.mean()

            def state(self):
                return {"sum": np.array(self.sum)}

            def restore(self, trainer, state):
                self.sum = float(state["sum"])

        whole, data, _ = self.unseen(np.random.default_rng(1))
        first, second = Mean(), Mean()
        whole.fit(*data, 4, 20, callbacks=[first, second])
        trainer, _, _ = self.unseen(np.random.default_rng(1))
        trainer.fit(*data, 4, 20, callbacks=[Mean(), Mean(), self.StopAfter(2)])
        trainer.save(tmp_path / "run")
        resumed = [Mean(), Mean()]
        nnkit.Trainer.load(tmp_path / "run", "numpy").resume(*data, callbacks=resumed)
        assert [x.sum for x in resumed] == [first.sum, second.sum]

    def test_training_stops_where_it_overfits(self, backend, rng):
        """Labels are random, so that the loss of unseen examples soon rises."""
        x, t = rng.normal(size=(80, 6)), rng.integers(0, 3, 80)
        trainer = nnkit.Trainer(network(backend), optimizer=nnkit.Adam(0.05))
        stopping = nnkit.EarlyStopping(patience=3)
        unseen = x[40:], t[40:]
        history = trainer.fit(x[:40], t[:40], 40, 20, validation_data=unseen, callbacks=[stopping])
        assert stopping.stopped
        assert len(history) == stopping.best_epoch + 4 < 40
        assert trainer.evaluate(*unseen)["loss"] == pytest.approx(min(history.val_loss))

    @pytest.mark.parametrize(
        ("monitor", "loss", "message"),
        [
            (
                "val_loss",
                None,
                "no val_loss in the history: give fit validation_data, or 'loss' is",
            ),
            ("lss", None, "no lss in the history: choose one of loss, accuracy$"),
            ("accuracy", "mse", "no accuracy in the history, because MeanSquaredError counts no"),
        ],
    )
    def test_a_figure_that_the_run_will_not_have(self, data, monitor, loss, message):
        """It is told before anything is changed."""
        trainer = nnkit.Trainer(network("numpy"), loss)
        before, (x, t) = trainer.model.state(), data
        targets = t if loss is None else np.zeros((len(x), 3))
        with pytest.raises(ValueError, match=message):
            trainer.fit(x, targets, callbacks=[nnkit.EarlyStopping(monitor)])
        after = trainer.model.state()
        assert all((after[name] == array).all() for name, array in before.items())

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"patience": 0}, "patience must be an integer of at least 1, not 0"),
            ({"min_delta": -1}, "min_delta must be at least 0, not -1"),
            ({"patience": "3"}, "patience must be an integer of at least 1, not '3'"),
            ({"patience": 2.5}, "patience must be an integer of at least 1, not 2.5"),
            ({"monitor": 5}, "monitor must be a figure's name, not 5"),
            ({"restore_best": "no"}, "restore_best must be True or False, not 'no'"),
        ],
    )
    def test_bad_settings(self, options, message):
        with pytest.raises((TypeError, ValueError), match=f"EarlyStopping: {message}"):
            nnkit.EarlyStopping(**options)

    def test_the_keyword_of_others(self):
        with pytest.raises(TypeError, match=r"did you mean restore_best\?"):
            nnkit.EarlyStopping(restore_best_weights=True)
