"""What threads and processes do with models at the same time, and what must come of it."""

from __future__ import annotations

import copy
import gc
import hashlib
import io
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np

import nnkit

ROWS, BATCH, EPOCHS = 48, 12, 3
OUTPUTS = 3

Action = Callable[["Shared", np.random.Generator, Path], None]


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    return rng.normal(size=(ROWS, 6)).astype(np.float32), rng.integers(0, OUTPUTS, ROWS)


def trainer(backend: str, seed: int = 0) -> nnkit.Trainer:
    layers = nnkit.Linear(6, 8), nnkit.ReLU(), nnkit.Dropout(0.3), nnkit.Linear(8, OUTPUTS)
    return nnkit.Trainer(nnkit.Sequential(*layers, seed=seed, backend=backend))


def digest(trainer: nnkit.Trainer) -> str:
    """Say in short what the weights and the history are, to the bit."""
    found = hashlib.sha256(np.array(trainer.history.step_loss).tobytes())
    for array in trainer.model.state().values():
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def fitted(backend: str, seed: int = 0) -> str:
    """Train from the beginning; it comes to the same in every thread and process."""
    made = trainer(backend, seed)
    made.fit(*data(), EPOCHS, BATCH)
    return digest(made)


class Shared:
    """A trainer that one thread fits while others use it, and what a run alone comes to."""

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self.trainer = trainer(backend)
        self.want = fitted(backend)
        self.x, self.t = data()


class StepError(Exception):
    """What a callback raises."""


class _Fails(nnkit.Callback):
    def on_step_end(self, trainer: nnkit.Trainer) -> None:
        raise StepError


def predict(shared: Shared, rng: np.random.Generator, folder: Path) -> None:
    rows = rng.integers(1, ROWS)
    assert shared.trainer.predict_proba(shared.x[:rows]).shape == (rows, OUTPUTS)


def evaluate(shared: Shared, rng: np.random.Generator, folder: Path) -> None:
    assert np.isfinite(shared.trainer.evaluate(shared.x, shared.t)["loss"])


def save_and_load(shared: Shared, rng: np.random.Generator, folder: Path) -> None:
    path = folder / f"{rng.integers(2**62)}.safetensors"
    shared.trainer.save(path)
    loaded = nnkit.Trainer.load(path, shared.backend)
    path.unlink()
    if loaded.progress is not None:
        loaded.resume(shared.x, shared.t)
        assert digest(loaded) == shared.want


def copy_model(shared: Shared, rng: np.random.Generator, folder: Path) -> None:
    model = copy.deepcopy(shared.trainer.model)
    nnkit.Trainer(model).fit(shared.x, shared.t, 1, BATCH)


def pickle_model(shared: Shared, rng: np.random.Generator, folder: Path) -> None:
    model = pickle.load(io.BytesIO(pickle.dumps(shared.trainer.model)))
    assert model(shared.x[:4]).shape == (4, OUTPUTS)


def fit_another(shared: Shared, rng: np.random.Generator, folder: Path) -> None:
    assert fitted(shared.backend) == shared.want


def fail_in_a_callback(shared: Shared, rng: np.random.Generator, folder: Path) -> None:
    made = trainer(shared.backend)
    try:
        made.fit(shared.x, shared.t, EPOCHS, BATCH, callbacks=[_Fails()])
    except StepError:
        made.resume(shared.x, shared.t)
        assert digest(made) == shared.want
    else:
        raise AssertionError("the callback's error was lost")


def fit_the_same(shared: Shared, rng: np.random.Generator, folder: Path) -> None:
    """It is refused while a thread fits it, and must do no harm; nobody else fits it otherwise."""
    if shared.trainer._fitting.locked():
        try:
            shared.trainer.resume(shared.x, shared.t)
        except RuntimeError as error:
            assert "in fit or resume already" in str(error) or "no run to resume" in str(error)


def collect(shared: Shared, rng: np.random.Generator, folder: Path) -> None:
    """Let go of a model that has trained, while others train."""
    made = trainer(shared.backend)
    made.fit(shared.x, shared.t, 1, BATCH)
    made.model.circle = made  # type: ignore[attr-defined]
    del made
    gc.collect()


ACTIONS: list[Action] = [
    *(predict, evaluate, save_and_load, copy_model, pickle_model),
    *(fit_another, fail_in_a_callback, fit_the_same, collect),
]
