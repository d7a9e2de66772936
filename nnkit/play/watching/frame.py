"""How far a run has come, in figures."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from nnkit.play.watching.answers import kind_of
from nnkit.play.watching.curves import thinned
from nnkit.training import Trainer

WINDOW = 5.0
"""Seconds over which examples per second are counted."""

Fields = dict[str, Any]


class Clock:
    """How fast a run goes."""

    def __init__(self, trainer: Trainer) -> None:
        now = time.perf_counter(), examples_done(trainer)
        self._start, self._passed = now, deque([now])

    def look(self, trainer: Trainer) -> Fields:
        """Examples per second of the last seconds, and seconds left; None where not known yet."""
        assert trainer.progress is not None
        now, done = time.perf_counter(), examples_done(trainer)
        self._passed.append((now, done))
        while len(self._passed) > 2 and now - self._passed[1][0] > WINDOW:
            self._passed.popleft()
        (before, count), (start, first) = self._passed[0], self._start
        left = trainer.progress.epochs * trainer.progress.examples - done
        return {
            "rate": (done - count) / (now - before) if done > count else None,
            "left": left * (now - start) / (done - first) if done > first else None,
        }


def examples_done(trainer: Trainer) -> int:
    """Examples that the run has been trained on, those of each epoch anew."""
    assert trainer.progress is not None
    progress = trainer.progress
    in_epoch = min(progress.step * progress.batch_size, progress.examples)
    return progress.epoch * progress.examples + in_epoch


def about(trainer: Trainer, class_names: tuple[str, ...]) -> Fields:
    """What a run is made with."""
    model, progress = trainer.model, trainer.progress
    assert progress is not None
    return {
        "says": kind_of(trainer),
        "classes": [*class_names],
        "counts_right": trainer.loss.counts_correct,
        "validates": trainer.validates,
        "epochs": progress.epochs,
        "steps": progress.steps,
        "examples": progress.examples,
        "batch_size": progress.batch_size,
        "loss": repr(trainer.loss),
        "optimizer": repr(trainer.optimizer),
        "layers": [repr(layer) for layer in model],
        "count": model.n_parameters,
        "backend": model.backend.name,
    }


def position(trainer: Trainer) -> Fields:
    """Where the run stands, and its learning rate."""
    progress = trainer.progress
    assert progress is not None
    return {"epoch": progress.epoch, "step": progress.step, "lr": _rate(trainer)}


def epochs(trainer: Trainer) -> Fields:
    """Figures of the epochs by name, with the epochs' numbers; those of long runs are thinned."""
    figures = trainer.history.to_dict()
    some = {name: thinned(values) for name, values in figures.items() if name != "seconds"}
    places = next(iter(some.values()), ([], []))[0]
    return {"passed": places, "figures": {name: values for name, (_, values) in some.items()}}


def _rate(trainer: Trainer) -> float:
    """The learning rate of the latest update, with its schedule's factor."""
    progress, schedule, lr = trainer.progress, trainer.schedule, trainer.optimizer.lr
    assert progress is not None
    if schedule is None:
        return lr
    updates = -(-progress.steps // progress.together)
    latest = progress.epoch * updates - (-progress.step // progress.together) - 1
    return lr * float(schedule(max(0, latest), progress.epochs * updates))
