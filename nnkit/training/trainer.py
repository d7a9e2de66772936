"""Trainer: mini-batch training, evaluation and prediction."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from nnkit.backends import Array, Backend
from nnkit.callbacks import Callback
from nnkit.dtypes import as_arithmetic
from nnkit.history import History
from nnkit.interrupts import deferred_interrupt
from nnkit.layers import Layer, Workspace
from nnkit.losses import Loss, SoftmaxCrossEntropy
from nnkit.layers import Sequential
from nnkit.optimizers import Adam, Optimizer
from nnkit.steps import Batch, Data, Steps, examples

if TYPE_CHECKING:
    from nnkit.schedules import Schedule

EVALUATION_BATCH = 1000
"""Rows per batch where no batch size was given: large enough to be fast, small enough for cache."""


@dataclass
class Progress:
    """Where a run stands. With the seeds in it, nothing else is needed to continue it."""

    epochs: int
    batch_size: int
    seed: int
    shuffle: bool
    examples: int
    first_epoch: int
    """Epochs that earlier runs of the same trainer had made: no two epochs share an order."""
    epoch: int = 0
    """Finished epochs of this run."""
    step: int = 0
    """Finished steps of the current epoch."""
    accumulate: int = 1
    """Steps, of a batch each, that share an update."""

    @property
    def steps(self) -> int:
        """Steps per epoch; the last batch may be smaller."""
        return -(-self.examples // self.batch_size)

    def next_batches(self) -> list[int]:
        """Sizes of the batches up to the next update."""
        steps = range(self.step, min(self.step + self.accumulate, self.steps))
        return [min(self.batch_size, self.examples - step * self.batch_size) for step in steps]

    def factors(self, schedule: Schedule) -> np.ndarray[Any, Any]:
        """Return the schedule's factor in each step of the current epoch.

        Raises ValueError where one is negative or no number.
        """
        updates = -(-self.steps // self.accumulate)
        first, total = self.epoch * updates, self.epochs * updates
        factors = np.array([float(schedule(first + i, total)) for i in range(updates)])
        for i in np.flatnonzero(~(np.isfinite(factors) & (factors >= 0))):
            raise ValueError(
                f"a schedule must give factors of at least 0, but it gives {factors[i]} "
                f"for update {first + i} of {total}"
            )
        return np.repeat(factors, self.accumulate)[: self.steps]

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return self.epoch >= self.epochs

    def orders(self, epochs: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Examples in the order of the current epoch, and of those after it, one after the other.

        Each epoch's is a function of the seed and its number alone.
        """
        if not self.shuffle:
            return np.tile(np.arange(self.examples), epochs)
        first = self.first_epoch + self.epoch
        return np.concatenate([self._order(first + i) for i in range(epochs)])

    def _order(self, epoch: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        key = np.array([self.seed % 2**64, epoch], np.uint64)
        return np.random.Generator(np.random.Philox(key=key)).permutation(self.examples)


class Trainer:
    """Fits a model to data by mini-batches, and keeps all that is needed to continue.

    Parameters
    ----------
    model
        The model; it is changed in place.
    loss
        Default: SoftmaxCrossEntropy().
    optimizer
        Default: Adam().
    """

    def __init__(
        self, model: Sequential, loss: Loss | None = None, optimizer: Optimizer | None = None
    ) -> None:
        self.model = model
        self.loss = SoftmaxCrossEntropy() if loss is None else loss
        self.optimizer = Adam() if optimizer is None else optimizer
        self.history = History()
        self.progress: Progress | None = None
        self.schedule: Schedule | None = None
        self.stop = False
        self.log: Array = None
        """float64 (steps, 2) on the device, each step's mean loss and number of right answers."""
        self.epochs_made = 0
        """Finished epochs of all runs together."""
        self._answers = 1
        self._workspace = Workspace()

    # ------------------------------------------------------------------ training

    def fit(
        self,
        x: Any,
        t: Any,
        epochs: int = 5,
        batch_size: int = 32,
        *,
        validation_data: tuple[Any, Any] | None = None,
        seed: int | None = None,
        shuffle: bool = True,
        callbacks: Sequence[Callback] = (),
        schedule: Schedule | None = None,
        accumulate: int = 1,
        compile: bool = True,
    ) -> History:
        """Train for some epochs and return what was recorded.

        Parameters
        ----------
        x
            Examples (n, ...): numbers, or uint8 image bytes that are scaled to 0..1.
        t
            Targets as the loss takes them, one per example.
        epochs, batch_size
            At least 1; the batch size at most n. The last batch of an epoch may be smaller.
        validation_data
            (x, t) to evaluate after every epoch.
        seed
            Seed of the order of examples; None takes the model's.
        shuffle
            Whether to draw a new order in every epoch.
        callbacks
            See `Callback`. One with an `on_step_end` makes each step a call of its own.
        schedule
            What the optimizer's `lr` is multiplied with in each step (see `nnkit.schedules`); None
            leaves it as it is.
        accumulate
            Update once in so many batches, by their mean gradient: as if the batches were so many
            times larger, in less memory. (Batch normalisation and dropout see the small batches.)
        compile
            Whether to capture the training step and replay it without Python in between, where the
            backend can. The result is the same, bit for bit.

        Raises ValueError for data that do not fit the model or the loss. Ctrl-C raises
        KeyboardInterrupt between two steps; `resume` then continues.
        """
        n = len(x)
        counts = {"epochs": epochs, "batch_size": batch_size, "accumulate": accumulate}
        for name, value in counts.items():
            if not isinstance(value, int | np.integer) or value < 1:
                raise ValueError(f"{name} must be an integer of at least 1, not {value!r}")
        if batch_size > n:
            raise ValueError(f"batch_size {batch_size} is more than the {n} examples")
        seed = self.model.seed if seed is None else int(seed)
        self.history = History()
        self.progress = Progress(
            int(epochs),
            int(batch_size),
            seed,
            bool(shuffle),
            n,
            self.epochs_made,
            accumulate=int(accumulate),
        )
        self.schedule = schedule
        self.log = None
        return self._run(x, t, validation_data, callbacks, compile)

    def resume(
        self,
        x: Any,
        t: Any,
        epochs: int | None = None,
        *,
        validation_data: tuple[Any, Any] | None = None,
        callbacks: Sequence[Callback] = (),
        schedule: Schedule | None = None,
        compile: bool = True,
    ) -> History:
        """Continue an interrupted or loaded run on the same data, to its end.

        On the same backend the result is that of the uninterrupted run, bit for bit. `epochs`
        changes the total. `schedule` need only be given if the run was loaded from a file and
        follows a function of your own. Raises RuntimeError if there is no run, ValueError for other
        data.
        """
        if self.progress is None:
            raise RuntimeError("there is no run to resume: call fit first, or load a checkpoint")
        if len(x) != self.progress.examples:
            raise ValueError(
                f"the run was on {self.progress.examples} examples, but x has {len(x)}"
            )
        if epochs is not None:
            self.progress.epochs = int(epochs)
        if schedule is not None:
            self.schedule = schedule
        return self._run(x, t, validation_data, callbacks, compile)

    def _run(
        self,
        x: Any,
        t: Any,
        validation_data: tuple[Any, Any] | None,
        callbacks: Sequence[Callback],
        capture: bool,
    ) -> History:
        assert self.progress is not None
        model, progress = self.model, self.progress
        was_training = model.training
        data = Data(model, self.loss, x, t)
        self._answers = self.loss.answers_per_row(*data.outputs)
        validation = None
        if validation_data is not None:
            validation = Data(model, self.loss, *validation_data, name="validation x")
        self.optimizer.attach(model)
        steps = Steps(
            model,
            self.loss,
            self.optimizer,
            data,
            progress.batch_size,
            progress.accumulate,
            self._workspace,
            capture,
        )
        self.stop = False
        for callback in callbacks:
            callback.on_fit_begin(self)
        try:
            with deferred_interrupt() as check:
                if validation is None and not callbacks and self.schedule is None:
                    self._stretches(steps, check)
                while not (progress.finished or self.stop):
                    self._epoch(steps, validation, callbacks, check)
        finally:
            steps.close()
            model.train(was_training)
            self.optimizer.follow(np.ones(1))
            if self.log is not None:
                self.log = model.backend.to_numpy(self.log)
            for callback in callbacks:
                callback.on_fit_end(self)
        return self.history

    def _stretches(self, steps: Steps, check: Callable[[], None]) -> None:
        """Train whole epochs, many at a time where they are short: nothing comes between them."""
        assert self.progress is not None
        progress = self.progress
        if steps.most_epochs == 1 or progress.step:
            return
        pace = Pace(each_step=False)
        while not progress.finished:
            epochs = pace.next(min(progress.epochs - progress.epoch, steps.most_epochs))
            steps.begin(progress.orders(epochs))
            start = time.perf_counter()
            self.model.train()
            steps.run(epochs * progress.steps, [progress.batch_size])
            self.log = self.model.backend.to_numpy(steps.log)[: epochs * progress.steps]
            seconds = (time.perf_counter() - start) / epochs
            rows = np.full(progress.steps, progress.batch_size)
            of_each = self.log.reshape(epochs, progress.steps, 2)
            by_name = figures(of_each, rows, self.loss, self._answers)
            for name, values in {**by_name, "seconds": np.full(epochs, seconds)}.items():
                getattr(self.history, name).extend(values.tolist())
            self.history.step_loss.extend(self.log[:, 0].tolist())
            progress.epoch += epochs
            self.epochs_made += epochs
            check()

    def _epoch(
        self,
        steps: Steps,
        validation: Data | None,
        callbacks: Sequence[Callback],
        check: Callable[[], None],
    ) -> None:
        """Train to the end of the current epoch, or to the step after which `stop` is set."""
        assert self.progress is not None
        progress = self.progress
        steps.begin(progress.orders(1), progress.step, self.log if progress.step else None)
        self.log = steps.log[: progress.steps]
        if self.schedule is not None:
            self.optimizer.follow(progress.factors(self.schedule))
        pace = Pace(each_step=any(overrides(c, "on_step_end") for c in callbacks))
        start = time.perf_counter()
        self.model.train()
        while progress.step < progress.steps:
            batches = progress.next_batches()
            full = progress.examples // progress.batch_size - progress.step
            updates = pace.next(full // progress.accumulate) if full >= progress.accumulate else 1
            steps.run(updates, batches)
            progress.step += updates * len(batches)
            for callback in callbacks:
                callback.on_step_end(self)
                callback.on_progress(self)
            if self.stop and progress.step < progress.steps:
                return
            check()
        figures = self._figures(self.log, progress.steps)
        seconds = time.perf_counter() - start
        self.history.step_loss += self.model.backend.to_numpy(self.log)[:, 0].tolist()
        if validation is not None:
            val = self._evaluate(validation, progress.batch_size)
            figures |= {f"val_{name}": value for name, value in val.items()}
        self.history.append({**figures, "seconds": seconds})
        progress.epoch += 1
        progress.step = 0
        self.epochs_made += 1
        for callback in callbacks:
            callback.on_epoch_end(self)
        check()

    def running(self) -> dict[str, float]:
        """Mean loss and accuracy of the current epoch so far, read from the device."""
        assert self.progress is not None
        return self._figures(self.log, self.progress.step)

    def _figures(self, log: Array, steps: int) -> dict[str, float]:
        assert self.progress is not None
        rows = batch_rows(steps, self.progress.batch_size, self.progress.examples)
        log = self.model.backend.to_numpy(log)[:steps]
        by_name = figures(log, rows, self.loss, self._answers)
        return {name: float(value) for name, value in by_name.items()}

    # ------------------------------------------------------------------ using the model

    def evaluate(self, x: Any, t: Any, batch_size: int = EVALUATION_BATCH) -> dict[str, float]:
        """Mean "loss", and "accuracy" where the loss has one, over all examples."""
        was_training = self.model.training
        data = Data(self.model, self.loss, x, t)
        result = self._evaluate(data, batch_size)
        self.model.train(was_training)
        return result

    def _evaluate(self, data: Data, batch_size: int) -> dict[str, float]:
        model, backend = self.model, self.model.backend
        batch = Batch(model, data, min(batch_size, len(data)))
        steps = -(-len(data) // batch.size)
        log = backend.zeros((steps, 2), np.float64)
        counters = backend.zeros(3, np.int64)
        order = backend.xp.arange(len(data))
        if batch.feed is not None:
            batch.feed.begin(np.arange(len(data)))
        model.eval()
        with model.using(self._workspace):
            for step in range(steps):
                if batch.feed is not None:
                    batch.feed.require(step * batch.size)
                x, t = batch.gather(order, counters, len(data) - step * batch.size)
                y = model.run_forward(x)
                self.loss.run(backend, y, t, batch.gradient[: len(y)], log, counters)
                backend.advance(counters, 1, 0, 0)
        rows = batch_rows(steps, batch.size, len(data))
        answers = self.loss.answers_per_row(*data.outputs)
        by_name = figures(backend.to_numpy(log), rows, self.loss, answers)
        return {name: float(value) for name, value in by_name.items()}

    def predict(self, x: Any, batch_size: int = EVALUATION_BATCH) -> np.ndarray[Any, Any]:
        """Answers for x as a NumPy array.

        Labels (n,) under SoftmaxCrossEntropy, 0 or 1 for each output under SigmoidCrossEntropy, the
        outputs themselves (n, outputs) otherwise.
        """
        return self.loss.answers(self._outputs(x, batch_size, lambda y: y))

    def predict_proba(self, x: Any, batch_size: int = EVALUATION_BATCH) -> np.ndarray[Any, Any]:
        """Probabilities (n, outputs) as a NumPy array; plain outputs if the loss has none."""
        backend = self.model.backend
        return self._outputs(x, batch_size, lambda y: self.loss.probabilities(backend, y))

    def _outputs(
        self, x: Any, batch_size: int, finish: Callable[[Array], Array]
    ) -> np.ndarray[Any, Any]:
        model = self.model
        array = examples(model, x)
        was_training = model.training
        model.eval()
        parts = [
            model.backend.to_numpy(finish(model.forward(array[start : start + batch_size])))
            for start in range(0, len(array), batch_size)
        ]
        model.train(was_training)
        outputs: np.ndarray[Any, Any] = as_arithmetic(np.concatenate(parts))
        return outputs

    # ------------------------------------------------------------------ saving

    def save(self, path: str | PathLike[str], **extra: Any) -> None:
        """Write all that `resume` needs to a safetensors file, atomically.

        `extra` is kept in the file as JSON and comes back as ``Trainer.load(path).extra``.
        """
        from nnkit.checkpoint import save_trainer

        save_trainer(self, path, extra)

    @staticmethod
    def load(
        path: str | PathLike[str],
        backend: str | Backend | None = None,
        custom_layers: Sequence[type[Layer]] = (),
    ) -> Trainer:
        """Read a trainer with its model, optimizer and position, onto any backend.

        Errors and `custom_layers` as for `nnkit.load`.
        """
        from nnkit.checkpoint import load_trainer

        return load_trainer(path, backend, custom_layers)

    extra: dict[str, Any] = {}  # noqa: RUF012 - replaced, never changed
    """What was given to `save`, after `load`."""


class Pace:
    """How many steps to issue at a time: about `SECONDS` of them, so that Ctrl-C is answered."""

    SECONDS = 0.05

    def __init__(self, each_step: bool) -> None:
        self.each_step = each_step
        self.steps = 1
        self.last = time.perf_counter()

    def next(self, left: int) -> int:
        """How many of the `left` steps to issue now."""
        now = time.perf_counter()
        elapsed, self.last = now - self.last, now
        if self.each_step:
            return 1
        growth = min(2.0, self.SECONDS / max(elapsed, 1e-6))
        self.steps = max(1, int(self.steps * growth))
        return min(self.steps, left)


def overrides(callback: Callback, hook: str) -> bool:
    """Whether a callback defines this hook itself."""
    return getattr(type(callback), hook) is not getattr(Callback, hook)


def batch_rows(steps: int, batch_size: int, examples: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Rows in each of the first `steps` batches; the last of an epoch may be smaller."""
    return np.minimum(batch_size, examples - batch_size * np.arange(steps))


def figures(
    log: np.ndarray[Any, Any], rows: np.ndarray[Any, Any], loss: Loss, answers_per_row: int
) -> dict[str, np.ndarray[Any, Any]]:
    """Mean loss and accuracy over the batches of a log (..., steps, 2); `rows` has their sizes."""
    if not len(rows):
        return {}
    result = {"loss": (log[..., 0] * rows).sum(axis=-1) / rows.sum()}
    if loss.counts_correct:
        result["accuracy"] = log[..., 1].sum(axis=-1) / (rows.sum() * answers_per_row)
    return result
