"""Threads that share a model or a trainer; calls that are refused or fail leave no trace."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import nnkit

TIMEOUT = 60


@pytest.fixture
def data(rng):
    return rng.normal(size=(48, 6)).astype("f"), rng.integers(0, 3, 48)


def network(backend, seed=0):
    layers = nnkit.Linear(6, 8), nnkit.BatchNorm1d(8), nnkit.ReLU(), nnkit.Dropout(0.5)
    return nnkit.Sequential(*layers, nnkit.Linear(8, 3), seed=seed, backend=backend)


def values(model):
    return {name: array.tobytes() for name, array in model.state().items()}


def at_once(*tasks):
    """Carry out each task in a thread of its own; what they return, or raise."""
    start = threading.Barrier(len(tasks))

    def run(task):
        start.wait(TIMEOUT)
        try:
            return task()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(tasks)) as pool:
        return [f.result(TIMEOUT) for f in [pool.submit(run, task) for task in tasks]]


class Each(nnkit.Callback):
    """Calls a function with the trainer after each step."""

    def __init__(self, function):
        self.function = function

    def on_step_end(self, trainer):
        self.function(trainer)


@pytest.mark.parametrize("each_step", [False, True])
def test_predictions_while_another_thread_fits(backend, data, each_step, small):
    """They are those of the model between two steps, and training is as without them."""
    epochs = 2 if small else 12
    x, t = data
    alone = nnkit.Trainer(network(backend), optimizer=nnkit.Adam(0.01))
    known, look = [alone.predict_proba(x)], Each(lambda t: known.append(t.predict_proba(x)))
    alone.fit(x, t, epochs, 12, callbacks=[look])
    trainer = nnkit.Trainer(network(backend), optimizer=nnkit.Adam(0.01))
    done, seen, modes = threading.Event(), [], []

    def fit():
        callbacks = [Each(lambda t: modes.append(t.model.training))] if each_step else []
        try:
            trainer.fit(x, t, epochs, 12, callbacks=callbacks)
        finally:
            done.set()

    def look_on():
        while not done.is_set():
            seen.append(trainer.predict_proba(x))
            trainer.evaluate(x[:31], t[:31])
            trainer.model[:1](x[:5])

    assert not [e for e in at_once(fit, look_on, look_on) if e]
    states = {p.tobytes() for p in known}
    assert {p.tobytes() for p in seen} <= states
    assert values(trainer.model) == values(alone.model)
    assert not any(layer.training for _, layer in trainer.model.walk())
    assert len(modes) == each_step * epochs * 4


def test_checkpoints_written_by_another_thread(backend, data, tmp_path, small):
    """Each goes on to the end of the run as the run itself does."""
    epochs = 3 if small else 25
    trainer, done = nnkit.Trainer(network(backend)), threading.Event()
    files = [tmp_path / f"{i}.safetensors" for i in range(4)]

    def save():
        while not done.is_set() and trainer.progress is None:
            pass
        for file in files:
            trainer.save(file)

    def fit():
        trainer.fit(*data, epochs, 12)
        done.set()

    assert at_once(fit, save) == [None, None]
    for file in files:
        again = nnkit.Trainer.load(file, backend)
        again.resume(*data)
        assert values(again.model) == values(trainer.model)
        assert again.history.step_loss == trainer.history.step_loss


def test_one_of_four_fits_of_a_trainer(backend, data):
    trainer, inside, refused = nnkit.Trainer(network(backend)), [], threading.Semaphore(0)

    def wait(trainer):
        if not inside:
            inside.append([refused.acquire(timeout=TIMEOUT) for _ in range(3)])

    def fit():
        try:
            return trainer.fit(*data, 2, 12, callbacks=[Each(wait)])
        except RuntimeError:
            refused.release()
            raise

    results = at_once(fit, fit, fit, fit)
    errors = [e for e in results if isinstance(e, RuntimeError)]
    assert inside == [[True] * 3]
    assert [e is trainer.history for e in results].count(True) == 1
    assert len(errors) == 3
    assert all("this Trainer is in fit or resume already" in str(e) for e in errors)
    assert len(trainer.history) == 2


@pytest.mark.parametrize("call", ["fit", "resume"])
def test_fit_inside_a_callback(backend, data, call):
    """Of the same trainer it is refused at once; of another, on the same model too, it works."""
    trainer = nnkit.Trainer(network(backend))
    other = nnkit.Trainer(trainer.model)

    def nested(trainer):
        history, progress, step = trainer.history, trainer.progress, trainer.progress.step
        with pytest.raises(RuntimeError, match="in fit or resume already"):
            getattr(trainer, call)(*data)
        other.fit(*data, 1, 24)
        assert trainer.model.training
        assert (trainer.history, trainer.progress) == (history, progress)
        assert trainer.progress.step == step

    (history,) = at_once(lambda: trainer.fit(*data, 1, 12, callbacks=[Each(nested)]))
    assert history is trainer.history
    assert len(history.step_loss) == 4
    assert (other.epochs_made, trainer.model.training) == (4, False)


def test_two_trainers_on_one_model(backend, data):
    model = network(backend)
    trainers = [nnkit.Trainer(model, optimizer=nnkit.SGD(0.01)) for _ in range(3)]
    histories = at_once(*(lambda t=t: t.fit(*data, 5, 12) for t in trainers))
    assert [len(history) for history in histories] == [5, 5, 5]
    assert not any(layer.training for _, layer in model.walk())


def test_parts_of_a_model_made_and_used_by_many(backend, data):
    model, x = network(backend), data[0]
    want = backend.to_numpy(model(x)).tobytes()

    def use():
        for i in range(1, 5):
            y = model[i:](model[:i](x))
            other = nnkit.Sequential(*reversed([*model.layers[1:4]]), backend=backend)
            other(y.repeat(3, axis=1)[:, :8])
        return backend.to_numpy(y).tobytes()

    assert at_once(use, use, use) == [want] * 3
    assert len({layer._guard.last() for _, layer in model.walk()}) == 1
