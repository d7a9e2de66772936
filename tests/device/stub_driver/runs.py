"""What users do with a backend, and fingerprints of what comes out."""

from __future__ import annotations

import gc
import hashlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier
from typing import Any
from unittest.mock import patch

import cupy
import numpy as np

import nnkit
from nnkit.backends import Backend
from nnkit.backends.cupy import graphs
from nnkit.training import streaming
from tests.device.stub_driver import functions

FEATURES, CLASSES, BATCH, EPOCHS = 16, 3, 8, 2
BLOCK_ROWS = 2 * BATCH

Fingerprint = dict[str, str]

STREAMS: dict[str, Callable[[], Any]] = {
    "null": lambda: cupy.cuda.Stream.null,
    "blocking": cupy.cuda.Stream,
    "non_blocking": lambda: cupy.cuda.Stream(non_blocking=True),
}
"""Those that users work on."""


def prepare() -> None:
    """Have few data go through several blocks, and few steps through both graphs."""
    streaming.BLOCK_BYTES = BLOCK_ROWS * FEATURES
    graphs.STEPS_PER_GRAPH = 4


def data(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images of bytes and labels."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (rows, FEATURES), np.uint8), rng.integers(0, CLASSES, rows)


def network(backend: Backend, *layers: nnkit.Layer) -> nnkit.Sequential:
    """Build one with dropout and batch normalisation, and more layers before the last."""
    hidden = nnkit.Linear(FEATURES, 16), nnkit.BatchNorm1d(16), nnkit.ReLU(), nnkit.Dropout(0.3)
    last = nnkit.Linear(16, CLASSES)
    return nnkit.Sequential(*hidden, *layers, last, seed=0, backend=backend)


def resident(backend: Backend, compile: bool = True) -> Fingerprint:
    """Train by Adam on data that fit on the device, and use the network."""
    trainer = nnkit.Trainer(network(backend))
    x, t = data(8 * BATCH)
    history = trainer.fit(x, t, EPOCHS, BATCH, validation_data=(x[:20], t[:20]), compile=compile)
    return {
        **fingerprint(trainer),
        "losses": _digest(history.step_loss),
        "validation": _digest(history.val_loss),
        "evaluation": _digest(list(trainer.evaluate(x, t, 20).values())),
        "labels": _digest(trainer.predict(x, 20)),
        "probabilities": _digest(trainer.predict_proba(x / np.float32(255))),
    }


def streamed(backend: Backend, compile: bool = True) -> Fingerprint:
    """Train on data that come through two blocks on the device; the last batch is smaller."""
    trainer = nnkit.Trainer(network(backend))
    x, t = data(8 * BATCH + 2)
    with no_room(backend):
        history = trainer.fit(x, t, EPOCHS, BATCH, compile=compile)
    return {**fingerprint(trainer), "losses": _digest(history.step_loss)}


class Apart(nnkit.Layer):
    """Puts numbers into every other column, so that the next layer has to copy them together."""

    capturable = True

    def forward(self, x: Any) -> Any:
        return self._spread(x, "y")

    def backward(self, dy: Any) -> Any:
        return self._spread(dy, "dx")

    def _spread(self, x: Any, name: str) -> Any:
        wide = self.new(name, (len(x), 2 * x.shape[1]))
        wide[:, ::2] = x
        return wide[:, ::2]


def apart(backend: Backend) -> Fingerprint:
    """Train with arrays that are copied in each step, and fill memory that is free meanwhile."""
    trainer = nnkit.Trainer(network(backend, Apart(), nnkit.Tanh(), Apart()))
    x, t = data(8 * BATCH)
    fill = Fill()
    history = trainer.fit(x, t, EPOCHS, BATCH, callbacks=[fill])
    fill.check()
    return {**fingerprint(trainer), "losses": _digest(history.step_loss)}


def larger_in_between(backend: Backend) -> Fingerprint:
    """Have larger arrays take the place of those that graphs write to, and fill what is free."""
    trainer = nnkit.Trainer(network(backend))
    x, t = data(8 * BATCH)
    fill = Fill()
    history = trainer.fit(x, t, EPOCHS, BATCH, callbacks=[Evaluate(), fill])
    fill.check()
    return {**fingerprint(trainer), "losses": _digest(history.step_loss)}


class Evaluate(nnkit.Callback):
    """Evaluate larger batches than those of training after every epoch."""

    def on_epoch_end(self, trainer: nnkit.Trainer) -> None:
        trainer.evaluate(*data(3 * BATCH), 3 * BATCH)


class Fill(nnkit.Callback):
    """Make arrays of a user's own after every epoch, in all memory that is free.

    Nobody else may write to them. What CuPy's pool has left is given back to CUDA.
    """

    def __init__(self) -> None:
        self.arrays: list[Any] = []

    def on_epoch_end(self, trainer: nnkit.Trainer) -> None:
        self.arrays += [cupy.full((BATCH, 16), 7, np.float32) for _ in range(9)]
        cupy.get_default_memory_pool().free_all_blocks()

    def check(self) -> None:
        """Have it be a failure if others did write to them."""
        if any((cupy.asnumpy(array) != 7).any() for array in self.arrays):
            functions.failures.append("an array of a user's was written to")


def images(backend: Backend) -> Fingerprint:
    """Train convolutions of all kinds: kernels of their own, products, and many at once."""
    features = nnkit.Conv2d(1, 12, 3, padding=1), nnkit.ReLU(), nnkit.MaxPool2d(2)
    groups = nnkit.Conv2d(12, 12, 1), nnkit.Tanh(), nnkit.Conv2d(12, 12, 2, groups=2), nnkit.ReLU()
    last = nnkit.Conv2d(12, 12, 1, groups=12), nnkit.Flatten(), nnkit.Linear(12, CLASSES)
    model = nnkit.Sequential(*features, *groups, *last, seed=0, backend=backend)
    x, t = data(8 * BATCH)
    fill = Fill()
    history = nnkit.Trainer(model).fit(x.reshape(-1, 4, 4, 1), t, EPOCHS, BATCH, callbacks=[fill])
    fill.check()
    weights = _digest(backend.to_numpy(model.flat.values))
    return {"weights": weights, "losses": _digest(history.step_loss)}


def side_by_side(backend: Any) -> dict[str, Fingerprint]:
    """Train three networks at a time, each on a stream of its own.

    A thread that has taken its turn dawdles: only the lock keeps others from coming in between.
    """
    start, take_turn = Barrier(len(STREAMS)), backend.turns.take

    def dawdle() -> None:
        take_turn()
        time.sleep(1e-5)

    def train_on(make: Callable[[], Any]) -> Fingerprint:
        start.wait()
        with make():
            return resident(backend)

    sys.setswitchinterval(1e-5)
    with patch.object(backend.turns, "take", dawdle), ThreadPoolExecutor(len(STREAMS)) as pool:
        return dict(zip(STREAMS, pool.map(train_on, STREAMS.values()), strict=True))


def accumulated(backend: Backend) -> Fingerprint:
    """Train on such data by the gradients of two batches together."""
    trainer = nnkit.Trainer(network(backend), optimizer=nnkit.SGD(0.1, momentum=0.9))
    x, t = data(8 * BATCH)
    with no_room(backend):
        history = trainer.fit(x, t, EPOCHS, BATCH, accumulate=2)
        evaluation = trainer.evaluate(x, t, 20)
    parts = {"losses": _digest(history.step_loss), "evaluation": _digest([*evaluation.values()])}
    return {**fingerprint(trainer), **parts}


def stopped(backend: Backend) -> Fingerprint:
    """Stop while a block is on its way, and use the memory of it for something else."""
    trainer = nnkit.Trainer(network(backend))
    x, t = data(8 * BATCH)
    with no_room(backend):
        trainer.fit(x, t, EPOCHS, BATCH, callbacks=[Stop(3)])
    gc.collect()
    mine = [cupy.full(2 * BLOCK_ROWS * FEATURES, 7, np.uint8) for _ in range(99)]
    cupy.cuda.Device().synchronize()
    return {**fingerprint(trainer), "mine": _digest([cupy.asnumpy(array) for array in mine])}


def moved(backend: Backend) -> Fingerprint:
    """Build a network on the current stream, train it on another, use it on the former again."""
    trainer, (x, t) = nnkit.Trainer(network(backend)), data(8 * BATCH)
    current, other = cupy.cuda.get_current_stream(), cupy.cuda.Stream(non_blocking=True)
    other.wait_event(current.record())
    with other:
        history = trainer.fit(x, t, EPOCHS, BATCH)
    current.wait_event(other.record())
    evaluation = trainer.evaluate(x, t, 20)
    parts = {"losses": _digest(history.step_loss), "evaluation": _digest([*evaluation.values()])}
    return {**fingerprint(trainer), **parts}


def resumed(backend: Backend) -> Fingerprint:
    """Stop, save, load and go on, twice over; with data that fit and with others."""
    x, t = data(8 * BATCH)
    trainer = nnkit.Trainer(network(backend), optimizer=nnkit.AdamW(0.01))
    with tempfile.TemporaryDirectory() as folder:
        trainer.fit(x, t, EPOCHS, BATCH, callbacks=[Stop(5)])
        trainer.save(Path(folder) / "first")
        trainer = nnkit.Trainer.load(Path(folder) / "first", backend)
        trainer.resume(x, t, callbacks=[Stop(11)])
        trainer.save(Path(folder) / "second")
        trainer = nnkit.Trainer.load(Path(folder) / "second", backend)
        with no_room(backend):
            trainer.resume(x, t)
    return fingerprint(trainer)


class Stop(nnkit.Callback):
    """Stop after so many steps of all epochs together."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_step_end(self, trainer: nnkit.Trainer) -> None:
        progress = trainer.progress
        assert progress is not None
        trainer.stop = progress.epoch * progress.steps + progress.step == self.steps


RUNS: dict[str, Callable[[Backend], Fingerprint]] = {
    "captured": resident,
    "step by step": lambda backend: resident(backend, compile=False),
    "streamed, captured": streamed,
    "streamed, step by step": lambda backend: streamed(backend, compile=False),
    "streamed, accumulated": accumulated,
    "stopped": stopped,
    "apart": apart,
    "images": images,
    "larger in between": larger_in_between,
    "moved": moved,
    "resumed": resumed,
}


@contextmanager
def no_room(backend: Any) -> Iterator[None]:
    """Have the device be too small for any data set."""
    backend.room = lambda: 0
    try:
        yield
    finally:
        del backend.room


def fingerprint(trainer: nnkit.Trainer) -> Fingerprint:
    """Return digests of what has been learnt."""
    model, to_numpy = trainer.model, trainer.model.backend.to_numpy
    buffers = [
        to_numpy(getattr(layer, name)) for layer in model.leaves() for name in layer.buffer_names
    ]
    return {
        "weights": _digest(to_numpy(model.flat.values)),
        "buffers": _digest(np.concatenate([array.ravel() for array in buffers])),
    }


def _digest(numbers: Any) -> str:
    return hashlib.sha256(np.asarray(numbers).tobytes()).hexdigest()[:8]
