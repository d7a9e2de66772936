"""The training loop: stretches of steps, and what comes between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from math import isnan
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from nnkit.given.options import shown
from nnkit.training.callbacks import Callback
from nnkit.training.data import Data
from nnkit.training.divergence import OnNan, Watch
from nnkit.training.evaluation import evaluate
from nnkit.training.figures import figures
from nnkit.training.progress import Progress
from nnkit.training.ranks import Ranks
from nnkit.training.steps import Steps

if TYPE_CHECKING:
    from nnkit.training.trainer import Trainer


class Loop:
    """Carries out what is left of a trainer's run.

    A stretch is as many steps as nothing comes between: one where a callback looks at each, else
    about `StretchLength.SECONDS` of them; several epochs where these are short and nobody wants to
    be told of each. While a stretch is carried out, other threads wait for the model; between two
    they may have it. Ranks make the same stretches, and learn behind each what all have logged and
    whether one wants to stop.
    """

    def __init__(
        self,
        trainer: Trainer,
        steps: Steps,
        validation: Data | None,
        callbacks: Sequence[Callback],
        check: Callable[[], None],
        on_nan: OnNan,
    ) -> None:
        assert trainer.progress is not None
        self.trainer, self.steps, self.validation = trainer, steps, validation
        self.progress: Progress = trainer.progress
        self.callbacks, self.check = callbacks, check
        self._watch = Watch(on_nan, trainer.optimizer)
        self.ranks, self._stop = trainer.ranks, False
        watched = any(overrides(c, "on_step_end") for c in callbacks)
        self._each_step = any(self.ranks.gather(watched))
        evaluates = validation is not None or bool(trainer.metrics)
        together = not (evaluates or self._each_step or trainer.schedule)
        self._most_epochs = steps.most_epochs if together else 1
        self._epochs_length = StretchLength(False, self.ranks)
        self._length = StretchLength(self._each_step, self.ranks)

    def finish(self) -> None:
        """Train to the end of the run, or to the step after which `stop` is set."""
        self._stop = any(self.ranks.gather(self.trainer.stop))
        while not (self.progress.finished or self._stop):
            if self.progress.step == 0 and (most := self._epochs_ahead()) > 1:
                epochs = self._epochs_length.next(most)
                self._train(epochs, epochs * self.progress.steps)
            else:
                self._train(1, self._length)
        self.ranks.alike(self.trainer.model)

    def _meet(self) -> None:
        """Stop here, or be interrupted, if any rank is to."""
        self._stop = self.ranks.stop(self.trainer.stop, self.check)
        if self._stop:
            self.trainer.stop = True

    def _epochs_ahead(self) -> int:
        """How many epochs may be made in one go."""
        left = self.progress.epochs - self.progress.epoch
        wanted = (_epochs_ahead(callback, self.trainer) for callback in self.callbacks)
        mine = int(max(1, min(left, self._most_epochs, *wanted)))
        return int(min(self.ranks.gather(mine)))

    def look_at_weights(self) -> None:
        """Raise or warn, as was asked for, if the weights are NaN or infinite now."""
        passed = self.progress
        done = (passed.epoch + 1, passed.step) if passed.step else (passed.epoch, passed.steps)
        with self.trainer.model.held():
            self._watch.look_at_weights(self.trainer.model, *done)

    def _train(self, epochs: int, length: int | StretchLength) -> None:
        """Train to the end of the current epoch, or of several, in stretches of such a length."""
        trainer, progress, steps = self.trainer, self.progress, self.steps
        last = epochs * progress.steps
        order, whole = progress.orders(epochs), isinstance(length, int)
        factors = None if trainer.schedule is None else progress.factors(trainer.schedule)
        with trainer.model.held():  # another thread may save the trainer meanwhile
            before = trainer.log if progress.step else None
            steps.begin(order, progress.step, before)
            trainer.log = steps.log[:last] if self.ranks.alone else self._empty_log(last, before)
            if factors is not None:
                trainer.optimizer.follow(factors)
            start = time.perf_counter()
            for _, layer in trainer.model.walk():
                layer.training = True
            if whole:  # nobody sees a step of several epochs
                self._stretch(length)
                self._record(epochs, start)
        while not whole and progress.step < last:
            with trainer.model.held():
                self._stretch(length)
            if isinstance(trainer.log, np.ndarray):  # where reading waits for no device
                self._look(trainer.log[: progress.step])
            for callback in self.callbacks:
                callback.on_step_end(trainer)
                callback.on_progress(trainer)
            self._meet()
            if self._stop and progress.step < last:
                return
        if not whole:
            self._record(1, start)
        for callback in self.callbacks:
            callback.on_epoch_end(trainer)
        self._meet()

    def _stretch(self, length: int | StretchLength) -> None:
        """Make some updates, so many or as many as suit a `StretchLength`."""
        trainer, steps, progress = self.trainer, self.steps, self.progress
        for name in ("model", "loss", "optimizer", "augment", "progress"):
            mine = progress if name == "progress" else getattr(steps, name)
            if getattr(trainer, name) is not mine:
                raise RuntimeError(
                    f"trainer.{name} was replaced in the middle of a run: end it first, with "
                    "trainer.stop = True, and resume"
                )
        batches, last = progress.next_batches(), []
        if isinstance(length, int):
            updates = length
        else:
            full = (progress.examples // progress.batch_size - progress.step) // len(batches)
            updates = length.next(full) if full else 1
            ahead = progress.next_batches(updates * len(batches))
            if not length.each_step and ahead != batches:  # fewer examples end the epoch
                last = ahead
        first, readable = progress.step, isinstance(steps.log, np.ndarray)  # without waiting
        if readable:
            steps.check_step(first)
        with np.errstate(over="ignore", invalid="ignore"):  # which the loss is watched for
            self.steps.make(updates, batches, last)
        progress.step += updates * len(batches) + len(last)
        if readable:
            steps.check_log(steps.log[first : progress.step], first)
        if not self.ranks.alone:
            self._join_logs(first)

    def _empty_log(self, steps: int, before: Any) -> np.ndarray[Any, Any]:
        """Log of all ranks for so many steps, on the host, with what there was before."""
        log = np.zeros((steps, 2))
        if before is not None:
            log[: len(before)] = self.trainer.model.backend.to_numpy(before)
        return log

    def _join_logs(self, first: int) -> None:
        """Enter in the trainer's log what all ranks have logged from a step on."""
        progress, steps = self.progress, self.steps
        now = slice(first, progress.step)
        mine = self.trainer.model.backend.to_numpy(steps.log[now])
        steps.check_log(mine, first)
        passed = np.arange(first, progress.step) % progress.steps
        batches = progress.batch_sizes(progress.steps)[passed]
        with np.errstate(over="ignore", invalid="ignore"):
            self.trainer.log[now] = steps.division.joined(mine, batches)

    def _record(self, epochs: int, start: float) -> None:
        """Enter finished epochs in the history, with the figures of the validation data.

        They began at `start`, and are over when the device has their log.
        """
        trainer, progress = self.trainer, self.progress
        log = trainer.model.backend.to_numpy(trainer.log).reshape(epochs, progress.steps, 2)
        seconds = self.ranks.first(time.perf_counter() - start)
        rows = progress.batch_sizes(progress.steps)
        self.steps.check_step(progress.step)
        self.steps.check_log(log.reshape(-1, 2))
        by_name = figures(log, rows, trainer.loss, trainer.answers_per_row)
        by_name["seconds"] = np.full(epochs, seconds / epochs)
        self.ranks.alike(trainer.model)
        by_name |= {name: np.array([value]) for name, value in self._evaluated().items()}
        with trainer.model.held():
            for i in range(epochs):
                trainer.history.append({name: float(x[i]) for name, x in by_name.items()})
            trainer.history.step_loss += log[..., 0].ravel().tolist()
            progress.epoch += epochs
            progress.step = 0
            trainer.epochs_made += epochs
        self._watch.look(log[..., 0].ravel(), progress.epoch - epochs, progress.steps)

    def _evaluated(self) -> dict[str, float]:
        """Figures of the validation data; without such, the metrics of the examples trained on."""
        trainer = self.trainer
        data = self.steps.batch.data if self.validation is None else self.validation
        if self.validation is None and not trainer.metrics:
            return {}
        how = self.progress.batch_size, trainer.workspace, trainer.metrics, self.ranks
        with np.errstate(over="ignore", invalid="ignore"):
            found = evaluate(trainer.model, trainer.loss, data, *how)
        if self.validation is None:
            return {name: found[name] for name in trainer.metrics}
        return {f"val_{name}": value for name, value in found.items()}

    def _look(self, log: np.ndarray[Any, Any]) -> None:
        """Look at the losses so far of the current epoch, if the last one is not finite."""
        if not np.isfinite(log[-1, 0]):
            self._watch.look(log[:, 0], self.progress.epoch, self.progress.steps)


class StretchLength:
    """How many steps to make at a time: about `SECONDS` of them, so that Ctrl-C is answered."""

    SECONDS = 0.05

    def __init__(self, each_step: bool, ranks: Ranks) -> None:
        self.each_step, self.ranks = each_step, ranks
        self.steps = self.made = 1
        self.last = time.perf_counter()

    def next(self, left: int) -> int:
        """How many of the `left` steps to make now."""
        if self.each_step:
            return 1
        now = time.perf_counter()
        elapsed, self.last = self.ranks.first(now - self.last), now
        fitting = self.made * self.SECONDS / max(elapsed, 1e-6)
        self.steps = max(1, int(min(2 * self.steps, fitting)))
        self.made = min(self.steps, left)  # fewer than would fit, at the end of an epoch
        return self.made


def _epochs_ahead(callback: Callback, trainer: Trainer) -> float:
    """How many epochs a callback lets be made; TypeError or ValueError where it says no number."""
    ahead = callback.epochs_ahead(trainer)
    name = f"{type(callback).__name__}: epochs_ahead must return a number of epochs"
    if not isinstance(ahead, Real):
        raise TypeError(f"{name}, not {shown(ahead)}")
    if isnan(ahead):
        raise ValueError(f"{name}, not NaN: math.inf stands for any number")
    return ahead


def overrides(callback: Callback, hook: str) -> bool:
    """Whether a callback defines this hook itself."""
    own: Any = getattr(type(callback), hook)
    return own is not getattr(Callback, hook)
