"""Runs with random callbacks that are broken off anywhere, and go on from their last checkpoint.

They end as if nothing had happened: weights, rate, the table, the files that are kept.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nnkit
from tests.stress.share import first_seed, share_of

RUNS = share_of(300, 5)
EPOCHS = 8


class BrokenOffError(Exception):
    """What breaks a run off."""


class BreakEpochs(nnkit.Callback):
    """Break the run off when an epoch ends, after so many that it lets pass."""

    def __init__(self, left: int) -> None:
        self.left = left

    def on_epoch_end(self, trainer: nnkit.Trainer) -> None:
        self.left -= 1
        if self.left < 0:
            raise BrokenOffError


class BreakSteps(nnkit.Callback):
    """The same with steps."""

    def __init__(self, left: int) -> None:
        self.left = left

    def on_step_end(self, trainer: nnkit.Trainer) -> None:
        self.left -= 1
        if self.left < 0:
            raise BrokenOffError


def drawn(seed: int, folder: Path) -> list[nnkit.Callback]:
    """The same callbacks for a seed, made anew."""
    rng = np.random.default_rng(seed)
    monitor = str(rng.choice(["val_loss", "loss", "val_accuracy"]))
    options = {"min_delta": float(rng.choice([0, 0.02]))}
    name = str(rng.choice(["{epoch}", "{epoch}-{val_loss:.2f}", "{val_loss:.1f}"]))
    found = [
        nnkit.CSVLogger(folder / "run.csv"),
        nnkit.Checkpoint(folder / "last"),
        nnkit.Checkpoint(
            folder / "kept" / name,
            monitor,
            bool(rng.random() < 0.5),
            int(rng.integers(1, 4)),
            int(rng.integers(1, 4)) if rng.random() < 0.7 else None,
        ),
        nnkit.ReduceOnPlateau(monitor, 0.5, int(rng.integers(1, 4)), **options, cooldown=1),
        nnkit.EarlyStopping(monitor, int(rng.integers(2, 6)), **options),
    ]
    return [found[i] for i in rng.permutation(len(found))]


def new(seed: int) -> nnkit.Trainer:
    model = nnkit.Sequential(
        *(nnkit.Linear(4, 8), nnkit.Tanh(), nnkit.Linear(8, 3)), seed=seed, backend="numpy"
    )
    return nnkit.Trainer(model, optimizer=nnkit.Adam(0.05))


def run(seed: int, folder: Path, breaks: int) -> object:
    """Train to the end, broken off so many times at most; return all that is left of it."""
    rng = np.random.default_rng([seed, breaks])
    data, unseen = examples(seed)
    trainer = new(seed)
    for part in range(breaks + 1):
        callbacks = drawn(seed, folder)
        if part < breaks:
            callbacks.insert(int(rng.integers(0, len(callbacks) + 1)), a_break(rng))
        options = {"validation_data": unseen, "callbacks": callbacks}
        try:
            if trainer.progress is None:
                trainer.fit(*data, EPOCHS, 8, **options)
            else:
                trainer.resume(*data, **options)
            break
        except BrokenOffError:
            saved = (folder / "last").exists()
            trainer = nnkit.Trainer.load(folder / "last", "numpy") if saved else new(seed)
    history = trainer.history
    return (
        trainer.model.flat.values.tobytes(),
        trainer.optimizer.lr,
        (history.loss, history.val_loss, history.val_accuracy),
        [row.rpartition(",")[0] for row in (folder / "run.csv").read_text().splitlines()],
        sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()),
    )


def examples(seed: int) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng([seed, 1])
    x, t = rng.normal(size=(48, 4)), rng.integers(0, 3, 48)
    return (x[:32], t[:32]), (x[32:], t[32:])


def a_break(rng: np.random.Generator) -> nnkit.Callback:
    if rng.random() < 0.5:
        return BreakEpochs(int(rng.integers(0, 4)))
    return BreakSteps(int(rng.integers(0, 16)))


@pytest.mark.parametrize("number", range(RUNS))
def test_a_run_that_is_broken_off(tmp_path, number):
    seed = first_seed() + number
    whole = run(seed, tmp_path / "whole", 0)
    parted = run(seed, tmp_path / "parted", 4)
    assert parted == whole, f"seed {seed}"
