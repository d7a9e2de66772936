"""Trainer: fitting, evaluating, predicting, stopping and continuing."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest

import nnkit
from nnkit.data import load
from nnkit.training.interrupts import deferred_interrupt


def network(backend, seed=0, dropout=0.0, dtype="float32", inputs=6, classes=3):
    layers = [nnkit.Linear(inputs, 16), nnkit.ReLU()]
    if dropout:
        layers.append(nnkit.Dropout(dropout))
    return nnkit.Sequential(
        *layers, nnkit.Linear(16, classes), seed=seed, backend=backend, dtype=dtype
    )


@pytest.fixture
def data(rng):
    """Three clouds of points, 50 examples: not a multiple of the batch sizes used."""
    t = rng.integers(0, 3, 50)
    x = rng.normal(size=(50, 6)).astype("f")
    x[np.arange(50), t] += 3
    return x, t


def weights(model):
    return np.array(model.backend.to_numpy(model.flat.values))


def test_fit_learns(backend, data):
    trainer = nnkit.Trainer(network(backend), optimizer=nnkit.Adam(0.02))
    history = trainer.fit(*data, epochs=15, batch_size=8)
    assert history.loss[-1] < 0.3 < history.loss[0]
    assert history.accuracy[-1] > 0.9
    assert len(history) == 15
    assert len(history.step_loss) == 15 * 7


def test_real_digits_from_bytes(backend):
    """Real handwritten digits; few of them, as the simulator is slow."""
    digits = load("digits")
    x, t = digits.x_train[:300], digits.t_train[:300]
    model = nnkit.Sequential(
        nnkit.Linear(64, 32), nnkit.ReLU(), nnkit.Linear(32, 10), seed=0, backend=backend
    )
    trainer = nnkit.Trainer(model, optimizer=nnkit.Adam(0.01))
    history = trainer.fit(x, t, 6, 50, validation_data=(digits.x_test[:100], digits.t_test[:100]))
    assert history.val_accuracy[-1] > 0.8
    assert history.accuracy[-1] > 0.9


def test_every_backend_trains_the_same_network(backend, data):
    """One seed: the losses of the first 100 steps agree to 1e-4, dropout included."""
    losses = []
    for b in (backend, "numpy"):
        trainer = nnkit.Trainer(network(b, dropout=0.2), optimizer=nnkit.SGD(0.05))
        losses.append(trainer.fit(*data, epochs=15, batch_size=8, seed=4).step_loss[:100])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def test_history_means_are_weighted_by_batch_size(backend, data):
    """With a learning rate of almost 0 the epoch's mean is the evaluation's."""
    trainer = nnkit.Trainer(network(backend, dtype="float64"), optimizer=nnkit.SGD(1e-12))
    history = trainer.fit(*data, epochs=1, batch_size=8)
    result = trainer.evaluate(*data, batch_size=13)
    assert history.loss[0] == pytest.approx(result["loss"], rel=1e-6)
    assert history.accuracy[0] == pytest.approx(result["accuracy"])


def test_a_step_follows_the_mean_gradient_of_its_batch(data):
    """One epoch of two batches by Trainer and by hand."""
    x, t = data
    trainer = nnkit.Trainer(network("numpy", dtype="float64"), optimizer=nnkit.SGD(0.1))
    trainer.fit(x, t, epochs=1, batch_size=30, shuffle=False)
    model, loss, optimizer = network("numpy", dtype="float64"), None, nnkit.SGD(0.1)
    loss = nnkit.SoftmaxCrossEntropy()
    for rows in (slice(0, 30), slice(30, 50)):
        with nnkit.use_backend("numpy"):
            loss(model(x[rows]), t[rows])
        model.backward(loss.backward())
        optimizer.step(model)
    np.testing.assert_allclose(weights(trainer.model), weights(model), rtol=1e-12)


def test_order_is_drawn_anew_in_each_epoch_and_by_seed(data):
    def losses(seed, **options):
        trainer = nnkit.Trainer(network("numpy"), optimizer=nnkit.SGD(1e-9))
        return trainer.fit(*data, epochs=2, batch_size=10, seed=seed, **options).step_loss

    assert losses(1) == losses(1)
    assert losses(1) != losses(2)
    first, second = np.array_split(losses(1), 2)
    assert not np.allclose(first, second)
    first, second = np.array_split(losses(1, shuffle=False), 2)
    np.testing.assert_allclose(first, second, rtol=1e-6)


def test_two_fits_do_not_share_an_order(data):
    trainer = nnkit.Trainer(network("numpy"), optimizer=nnkit.SGD(1e-9))
    a = trainer.fit(*data, epochs=1, batch_size=10).step_loss
    b = trainer.fit(*data, epochs=1, batch_size=10).step_loss
    assert not np.allclose(a, b)


def test_sigmoid_loss_counts_each_output(backend, rng):
    x = rng.normal(size=(40, 6)).astype("f")
    t = (x[:, :2] > 0).astype("f")
    trainer = nnkit.Trainer(
        network(backend, classes=2), nnkit.SigmoidCrossEntropy(), nnkit.Adam(0.03)
    )
    trainer.fit(x, t, epochs=15, batch_size=8)
    accuracy = trainer.evaluate(x, t)["accuracy"]
    assert accuracy == pytest.approx((trainer.predict(x) == t).mean())
    assert accuracy > 0.85
    p = trainer.predict_proba(x)
    assert ((p > 0.5) == trainer.predict(x)).all()


def test_regression(backend, rng):
    x = rng.normal(size=(60, 6)).astype("f")
    t = x @ rng.normal(size=(6, 3))
    trainer = nnkit.Trainer(
        nnkit.Sequential(nnkit.Linear(6, 3), backend=backend, seed=0),
        nnkit.MeanSquaredError(),
        nnkit.Adam(0.1),
    )
    history = trainer.fit(x, t, epochs=20, batch_size=10)
    assert history.accuracy == []
    assert trainer.evaluate(x, t).keys() == {"loss"}
    np.testing.assert_allclose(trainer.predict(x), t, atol=0.5)


def test_predictions(backend, data):
    x, t = data
    trainer = nnkit.Trainer(network(backend), optimizer=nnkit.Adam(0.02))
    trainer.fit(x, t, epochs=10, batch_size=8)
    labels, p = trainer.predict(x, batch_size=7), trainer.predict_proba(x)
    assert isinstance(labels, np.ndarray)
    assert isinstance(p, np.ndarray)
    np.testing.assert_array_equal(labels, p.argmax(axis=1))
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    assert (labels == t).mean() == pytest.approx(trainer.evaluate(x, t)["accuracy"])


def test_images_with_their_shape_are_flattened_by_the_model(backend, rng):
    x = rng.integers(0, 256, (20, 4, 5), np.uint8)
    model = nnkit.Sequential(nnkit.Flatten(), nnkit.Linear(20, 2), backend=backend, seed=0)
    trainer = nnkit.Trainer(model)
    trainer.fit(x, np.arange(20) % 2, epochs=1, batch_size=6)
    flat = nnkit.Trainer(nnkit.Sequential(nnkit.Linear(20, 2), backend=backend, seed=0))
    flat.fit(x.reshape(20, 20), np.arange(20) % 2, epochs=1, batch_size=6)
    np.testing.assert_array_equal(weights(trainer.model), weights(flat.model))


def test_inputs_are_not_modified(backend, data):
    x, t = data
    x0, t0 = x.copy(), t.copy()
    nnkit.Trainer(network(backend)).fit(x, t, epochs=1, batch_size=8)
    np.testing.assert_array_equal(x, x0)
    np.testing.assert_array_equal(t, t0)


def test_mode_is_put_back(backend, data):
    model = network(backend, dropout=0.5)
    seen = []

    class Look(nnkit.Callback):
        def on_step_end(self, trainer):
            seen.append(trainer.model.training)

    nnkit.Trainer(model).fit(*data, epochs=1, batch_size=25, callbacks=[Look()])
    assert seen == [True, True]
    assert not model.training


class TestCallbacks:
    def test_order_of_calls(self, data):
        calls = []

        class Record(nnkit.Callback):
            def on_fit_begin(self, trainer):
                calls.append("begin")

            def on_step_end(self, trainer):
                calls.append(trainer.progress.step)
                assert 0 < trainer.running()["loss"] < 10

            def on_epoch_end(self, trainer):
                calls.append(f"epoch {len(trainer.history)}")

            def on_fit_end(self, trainer):
                calls.append("end")

        nnkit.Trainer(network("numpy")).fit(*data, epochs=2, batch_size=25, callbacks=[Record()])
        assert calls == ["begin", 1, 2, "epoch 1", 1, 2, "epoch 2", "end"]

    def test_the_model_may_be_used_inside_a_callback(self, backend, data):
        x, t = data

        class Use(nnkit.Callback):
            def on_step_end(self, trainer):
                trainer.model.eval()(x)
                trainer.model.train()
                trainer.predict(x)
                trainer.evaluate(x[:9], t[:9])

        results = []
        for callbacks in ([], [Use()]):
            model = network(backend, dropout=0.3)
            nnkit.Trainer(model).fit(x, t, epochs=1, batch_size=20, callbacks=callbacks)
            results.append(weights(model))
        np.testing.assert_array_equal(*results)


class StopAt(nnkit.Callback):
    """End training after so many steps, by the flag or as Ctrl-C does."""

    def __init__(self, steps, interrupt=False):
        self.left, self.interrupt = steps, interrupt

    def on_step_end(self, trainer):
        self.left -= 1
        if self.left == 0 and self.interrupt:
            os.kill(os.getpid(), signal.SIGINT)
        elif self.left == 0:
            trainer.stop = True


@pytest.mark.parametrize("make_optimizer", [lambda: nnkit.SGD(0.05, 0.9), nnkit.AdamW])
@pytest.mark.parametrize("steps", [3, 7, 10])
def test_stop_save_load_resume_is_bit_for_bit(backend, data, tmp_path, make_optimizer, steps):
    def trainer():
        return nnkit.Trainer(network(backend, dropout=0.3), optimizer=make_optimizer())

    whole = trainer()
    history = whole.fit(*data, epochs=3, batch_size=8, validation_data=data)
    part = trainer()
    part.fit(*data, epochs=3, batch_size=8, validation_data=data, callbacks=[StopAt(steps)])
    part.save(tmp_path / "run.safetensors", note="hello")
    again = nnkit.Trainer.load(tmp_path / "run.safetensors", backend=backend)
    assert again.extra == {"note": "hello"}
    assert again.progress.epoch * 7 + again.progress.step == steps
    resumed = again.resume(*data, validation_data=data)
    assert weights(again.model).tobytes() == weights(whole.model).tobytes()
    assert resumed.step_loss == history.step_loss
    assert resumed.loss == history.loss
    assert resumed.val_loss == history.val_loss


def test_a_checkpoint_continues_on_another_backend(backend, data, tmp_path):
    whole = nnkit.Trainer(network("numpy"), optimizer=nnkit.SGD(0.05, 0.9))
    whole.fit(*data, epochs=3, batch_size=8)
    part = nnkit.Trainer(network("numpy"), optimizer=nnkit.SGD(0.05, 0.9))
    part.fit(*data, epochs=3, batch_size=8, callbacks=[StopAt(9)])
    part.save(tmp_path / "run.safetensors")
    there = nnkit.Trainer.load(tmp_path / "run.safetensors", backend=backend)
    there.resume(*data)
    np.testing.assert_allclose(weights(there.model), weights(whole.model), rtol=1e-3, atol=1e-5)


@pytest.fixture
def _ctrl_c():
    """Ctrl-C as Python has it, also where the tests run in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_ctrl_c")
def test_ctrl_c_after_the_last_look_for_it_is_not_lost():
    with pytest.raises(KeyboardInterrupt), deferred_interrupt() as check:
        check()
        os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(ZeroDivisionError), deferred_interrupt():
        os.kill(os.getpid(), signal.SIGINT)
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("_ctrl_c")
def test_ctrl_c_comes_between_two_steps(data):
    trainer = nnkit.Trainer(network("numpy"))
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(*data, epochs=2, batch_size=8, callbacks=[StopAt(4, interrupt=True)])
    assert (trainer.progress.epoch, trainer.progress.step) == (0, 4)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    trainer.resume(*data)
    whole = nnkit.Trainer(network("numpy"))
    whole.fit(*data, epochs=2, batch_size=8)
    assert weights(trainer.model).tobytes() == weights(whole.model).tobytes()


def test_training_in_a_thread(data):
    trainer = nnkit.Trainer(network("numpy"))
    thread = threading.Thread(target=trainer.fit, args=(*data, 1, 8))
    thread.start()
    thread.join()
    assert len(trainer.history) == 1


def test_resume_to_more_epochs(data):
    trainer = nnkit.Trainer(network("numpy"))
    trainer.fit(*data, epochs=2, batch_size=8)
    assert len(trainer.resume(*data, epochs=5)) == 5


class TestErrors:
    def fit(self, data, **options):
        x, t = data
        nnkit.Trainer(network("numpy")).fit(x, t, **{"epochs": 1, "batch_size": 8, **options})

    def test_batch_size_over_the_data(self, data):
        with pytest.raises(ValueError, match="batch_size 51 is more than the 50 examples"):
            self.fit(data, batch_size=51)

    @pytest.mark.parametrize("name", ["epochs", "batch_size"])
    @pytest.mark.parametrize("value", [0, -1, 1.5, "2"])
    def test_epochs_and_batch_size(self, data, name, value):
        with pytest.raises(ValueError, match=f"{name} must be an integer of at least 1"):
            self.fit(data, **{name: value})

    def test_nan_in_the_examples(self, data):
        data[0][17, 2] = np.nan
        with pytest.raises(ValueError, match="x holds NaN or infinity, first in row 17"):
            self.fit(data)

    def test_numbers_of_examples_and_targets(self, data):
        x, t = data
        with pytest.raises(ValueError, match=r"x has shape \(50, 6\) but its targets have shape"):
            self.fit((x, t[:-1]))

    def test_labels_out_of_range(self, data):
        x, t = data
        with pytest.raises(ValueError, match="labels must be 0 to 2 for 3 outputs"):
            self.fit((x, t + 1))

    def test_examples_that_do_not_fit_the_model(self, data):
        with pytest.raises(ValueError, match=r"layer 0: Linear.*rows of 6 numbers, not of shape"):
            self.fit((np.ones((50, 7)), data[1]))

    def test_no_examples(self):
        with pytest.raises(ValueError, match="x must have shape"):
            nnkit.Trainer(network("numpy")).evaluate(np.ones((0, 6)), np.ones(0, int))

    def test_validation_data_are_named(self, data):
        x, t = data
        with pytest.raises(ValueError, match="validation x has shape"):
            self.fit(data, validation_data=(x, t[:3]))

    def test_strings(self, data):
        with pytest.raises(TypeError, match="x must hold numbers, but its dtype is <U1"):
            self.fit((np.full((50, 6), "a"), data[1]))

    def test_resume_without_a_run(self, data):
        with pytest.raises(RuntimeError, match="there is no run to resume"):
            nnkit.Trainer(network("numpy")).resume(*data)

    def test_resume_on_other_data(self, data):
        trainer = nnkit.Trainer(network("numpy"))
        trainer.fit(*data, epochs=1, batch_size=8)
        with pytest.raises(ValueError, match="on 50 examples, but x has 10"):
            trainer.resume(data[0][:10], data[1][:10])


@pytest.mark.parametrize(("batch_size", "most"), [(25, 3), (24, 1)])
def test_a_callback_that_need_not_see_the_next_epochs(backend, data, batch_size, most):
    """Where the last batch of an epoch is smaller, it is called after each all the same."""

    class Seldom(nnkit.Callback):
        def __init__(self):
            self.seen = [0]

        def epochs_ahead(self, trainer):
            return 3

        def on_epoch_end(self, trainer):
            self.seen.append(len(trainer.history))

    callback, (x, t) = Seldom(), data
    trainer = nnkit.Trainer(network(backend))
    trainer.fit(x[:50], t[:50], 8, batch_size, callbacks=[callback])
    assert callback.seen[-1] == 8
    assert 1 <= max(np.diff(callback.seen)) <= most


@pytest.mark.parametrize(
    ("ahead", "error", "message"),
    [
        (np.nan, ValueError, "not NaN: math.inf stands for any number"),
        (None, TypeError, "not None"),
    ],
)
def test_a_callback_that_says_no_number_of_epochs(data, ahead, error, message):
    class Lost(nnkit.Callback):
        def epochs_ahead(self, trainer):
            return ahead

    wanted = f"^Lost: epochs_ahead must return a number of epochs, {message}$"
    with pytest.raises(error, match=wanted):
        nnkit.Trainer(network("numpy")).fit(*data, 2, callbacks=[Lost()])
