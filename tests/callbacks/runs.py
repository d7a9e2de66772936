"""What the tests of callbacks share: small runs, and callbacks that set figures, or stop."""

from __future__ import annotations

import numpy as np

import nnkit

RNG = np.random.default_rng(5)
X, T = RNG.normal(size=(40, 6)), RNG.integers(0, 3, 40)
UNSEEN = RNG.normal(size=(20, 6)), RNG.integers(0, 3, 20)


def trainer(backend="numpy", lr=0.1, loss=None):
    model = nnkit.Sequential(
        *(nnkit.Linear(6, 5), nnkit.ReLU(), nnkit.Linear(5, 3)), seed=0, backend=backend
    )
    return nnkit.Trainer(model, loss, nnkit.SGD(lr, momentum=0.5))


def fit(one, epochs, *callbacks, **options):
    return one.fit(X, T, epochs, 8, validation_data=UNSEEN, callbacks=callbacks, **options)


def resume(one, *callbacks, **options):
    return one.resume(X, T, validation_data=UNSEEN, callbacks=callbacks, **options)


def weights(one):
    return one.model.backend.to_numpy(one.model.flat.values).tobytes()


class Scripted(nnkit.Callback):
    """Put given figures into the history."""

    def __init__(self, **figures):
        self.figures = figures

    def on_epoch_end(self, trainer):
        epoch = len(trainer.history) - 1
        for name, values in self.figures.items():
            trainer.history[name][epoch:] = [values[epoch]]


class StopAfter(nnkit.Callback):
    def __init__(self, epochs):
        self.epochs = epochs

    def on_epoch_end(self, trainer):
        trainer.stop = len(trainer.history) >= self.epochs
