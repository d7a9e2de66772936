"""Trainer: mini-batch training, evaluation and prediction."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from os import PathLike
from typing import Any

import numpy as np

from nnkit import augment as augmentation
from nnkit.augment import Augment, Augmentation
from nnkit.backends import Array, Backend
from nnkit.distributed.contract import Communicator
from nnkit.given.keywords import explained
from nnkit.given.options import flag, made_by
from nnkit.layers import Layer, Sequential
from nnkit.layers.inputs import Inputs
from nnkit.layers.workspace import Workspace
from nnkit.losses import Loss
from nnkit.optimizers import Optimizer
from nnkit.schedules import Schedule
from nnkit.showing import html
from nnkit.showing.warning import warn
from nnkit.showing.watching import person_watches
from nnkit.showing.words import counted
from nnkit.training import arguments, hooks, keeping, saving
from nnkit.training.batches import joined
from nnkit.training.callbacks import Callback
from nnkit.training.compiling import compilation_shown
from nnkit.training.data import Data
from nnkit.training.divergence import OnNan, warn_of_nan
from nnkit.training.evaluation import EVALUATION_BATCH, evaluate, outputs
from nnkit.training.examples import Examples, prepared
from nnkit.training.figures import figures
from nnkit.training.given import (
    check_places,
    checked_loss,
    checked_model,
    checked_optimizer,
)
from nnkit.training.history import History
from nnkit.training.interrupts import deferred_interrupt
from nnkit.training.keeping import States
from nnkit.training.loop import Loop
from nnkit.training.metrics import Function, Metric, Metrics, named
from nnkit.training.partners import misfit
from nnkit.training.progress import Progress
from nnkit.training.ranges import warn_of_pixels, warn_of_targets
from nnkit.training.ranks import Ranks, on_all_ranks
from nnkit.training.sameness import check_same, of_data, of_given, of_run, options_of
from nnkit.training.steps import Steps
from nnkit.training.weights import ClassWeight, of_examples


class Trainer:
    """Fits a model to data by mini-batches, and keeps all that is needed to continue.

    Parameters
    ----------
    model
        The model; it is changed in place.
    loss
        A loss, or the name of one such as "mse" (see `nnkit.losses.get`), whose options are the
        default ones then. Default: SoftmaxCrossEntropy().
    optimizer
        An optimizer, or the name of one such as "sgd" (see `nnkit.optimizers.get`). Default:
        Adam().
    communicator
        Trains on several processes, ranks, each of which makes such a trainer of such a model and
        calls the same methods with the same data: `nnkit.distributed.communicator()`. Each computes
        a share of every batch, and all get the network that one would. None: this process alone.

    Raises TypeError for anything else, ValueError for an unknown name. Warns where the model's last
    layer does not give what the loss takes, which `fit` does too if either was changed: a Softmax
    in front of SoftmaxCrossEntropy, say, which is trained twice as flat.
    """

    model: Sequential = made_by(checked_model)
    loss: Loss = made_by(checked_loss)
    optimizer: Optimizer = made_by(checked_optimizer)
    augment: Augment = made_by(augmentation.listed)
    """How the run changes pictures; see `nnkit.augment`."""

    @explained
    def __init__(
        self,
        model: Sequential,
        loss: str | Loss | None = None,
        optimizer: str | Optimizer | None = None,
        communicator: Communicator | None = None,
    ) -> None:
        check_places(loss, optimizer)
        self.ranks = Ranks(communicator)
        """Who trains together."""
        self.model = model
        self.loss = loss  # type: ignore[assignment]
        self.optimizer = optimizer  # type: ignore[assignment]
        self._misfit = ""
        with self.ranks.taking_part("Trainer"):
            self._warn_of_misfit()
        self.history = History()
        self.progress: Progress | None = None
        self.schedule: Schedule | None = None
        self.metrics: Metrics = {}
        """The figures of one's own that the run computes, by name."""
        self.augment = ()
        self.stop = False
        self.log: Array = None
        """float64 (steps, 2) on the device, each step's mean loss and number of right answers."""
        self.validates = False
        """Whether the run evaluates validation data after every epoch."""
        self.validation: Data | None = None
        """The validation data, while a run is made: checked, scaled, on the model's backend."""
        self.epochs_made = 0
        """Finished epochs of all runs together."""
        self.answers_per_row = 1
        """Answers that the loss counts in a row of outputs."""
        self.workspace = Workspace()
        self._fitting = threading.Lock()
        self._callbacks: Sequence[Callback] = ()
        self._kept: States = {}

    def _warn_of_misfit(self) -> None:
        """Say what does not go together, unless that has been said already."""
        before, self._misfit = self._misfit, misfit(self.model, self.loss)
        if self._misfit and self._misfit != before:
            warn(self._misfit, UserWarning)

    @property
    def communicator(self) -> Communicator | None:
        """What carries the words and sums between ranks; None where this process is alone."""
        return self.ranks.communicator

    # ------------------------------------------------------------------ training

    @on_all_ranks
    def fit(
        self,
        x: Any,
        t: Any = None,
        epochs: int = 5,
        batch_size: int | None = None,
        *,
        validation_data: Iterable[Any] | None = None,
        validation_split: float | None = None,
        sample_weight: Any = None,
        class_weight: ClassWeight | None = None,
        metrics: Mapping[str, Function | Metric] | None = None,
        scale: float | None = None,
        seed: int | None = None,
        shuffle: bool = True,
        callbacks: Sequence[Callback] = (),
        schedule: Schedule | None = None,
        augment: Augmentation | Sequence[Augmentation] | None = None,
        accumulate: int = 1,
        compile: bool = True,
        progress: bool | None = None,
        on_nan: OnNan = "raise",
    ) -> History:
        """Train for some epochs and return what was recorded.

        Parameters
        ----------
        x
            Examples (n, ...), numbers. They are taken as they are, except that uint8 is scaled to
            0..1 if it looks like image bytes: the largest is above 1, and the shape (n, height,
            width), (n, height, width, channels) or (n, m) with m of at least 16. Any array, table
            or sparse matrix will do (see the guide to arrays). Without t, batches (x, t) or (x, t,
            sample_weight): a `torch.utils.data.DataLoader`, a list or a generator of them. What can
            be read again is, in every epoch, in its own order and of as many examples; an iterator
            is read once. An epoch is held in memory.
        t
            Targets as the loss takes them, one per example. They are copied; x may be large, and is
            used where it lies if it is an array of the model's dtype.
        epochs, batch_size
            At least 1; the batch size at most n, and by default 32, or n if that is less; that of
            the first batch, where batches are given. The last batch of an epoch may be smaller.
        validation_data
            (x, t) to evaluate after every epoch, or (x, t, sample_weight); or an iterator, a
            DataLoader or the like, of batches, which is read once.
        validation_split
            Instead: this part of the examples, such as 0.1, is drawn at random, each class's share
            of labels, and set aside to evaluate after every epoch. The same seed draws the same.
        sample_weight
            How much each example counts, (n,), at least 0: one of weight 2 as two of them. Losses
            and accuracies are weighted means. Only how weights compare matters: they are scaled to
            a mean of 1, so that the learning rate need not change.
        class_weight
            How much the examples of each class count, by label, ``{0: 1, 1: 5}`` (1 where a label
            has none), or "balanced": as much for each class. Multiplies `sample_weight`; validation
            data are not weighted by it.
        metrics
            Figures of one's own for the history, by name: functions of targets, as they are given
            here, and answers as `predict` gives them, such as ``{"f1": sklearn.metrics.f1_score}``,
            or a `Metric`. They are computed after every epoch: of validation data, as "val_f1",
            where there are any, else of x, as "f1". They see no weights.
        scale
            What to multiply x by, whatever its dtype: 1/255, or 1 for uint8 that is to be taken as
            it is. The model remembers it, or what was decided without it, in `Sequential.inputs`,
            and scales what it is given later in the same way, in another `fit` too; one with a
            `scale` starts anew. Targets are never scaled.
        seed
            Seed of the order of examples, and of `augment`; None takes the model's.
        shuffle
            Whether to draw a new order in every epoch.
        callbacks
            See `Callback`. One with an `on_step_end` makes each step a call of its own.
        schedule
            What the optimizer's `lr` is multiplied with in each step (see `nnkit.schedules`); None
            leaves it as it is.
        augment
            How pictures are changed at random, each in every step anew: `nnkit.augment.Shift(2)`,
            or a list of such. x must be images then, (n, height, width) or (n, height, width,
            channels). Validation data stay as they are.
        accumulate
            Update once in so many batches, by their mean gradient: as if the batches were so many
            times larger, in less memory. (Batch normalisation and dropout see the small batches.)
        compile
            Whether to capture the training step and replay it without Python in between, where the
            backend can. The result is the same, bit for bit.
        progress
            Whether to show a `ProgressBar`, and that kernels are compiled; None: where a person
            watches, in a terminal or a notebook.
        on_nan
            What to do when a loss is NaN or infinite, or weights are at the end: "raise"
            `DivergenceError`, "warn" (`DivergenceWarning`) or "ignore" it.

        Raises ValueError for data that do not fit the model or the loss; nothing has changed then.
        Warns (`DataWarning`) of pixels from 0 to 255 that are not scaled, in x or in targets, and,
        where the model was fitted before, of examples that reach far more or less than those.
        Ctrl-C raises KeyboardInterrupt between two steps; `resume` then continues. Between two
        steps callbacks may change whatever they like, and other threads may use the model; `fit`
        or `resume` of this same trainer raises RuntimeError.
        """
        given = Examples.of(x, t, sample_weight, class_weight, validation_data)
        whole = arguments.length(given.x)
        n = whole - arguments.part(validation_split, whole)
        callbacks, figures_wanted = self._listed(callbacks, progress), named(metrics)
        schedule, on_nan = arguments.schedule(schedule), arguments.on_nan(on_nan)
        changes = augmentation.listed(augment)
        inputs = self.model.inputs if scale is None else Inputs(scale)
        with self._alone(), compilation_shown(progress):
            run = Progress(
                arguments.count("epochs", epochs),
                arguments.batch_size(given.batch_size(batch_size), n),
                self.model.seed if seed is None else arguments.seed(seed),
                flag().checked("shuffle", shuffle) and not given.ordered,
                n,
                self.epochs_made,
                accumulate=arguments.count("accumulate", accumulate),
                validation_split=None if validation_split is None else float(validation_split),
                weighted=given.weighted,
            )
            told = options_of(run, figures_wanted, schedule, on_nan)
            steps, validation = self._prepared(run, given, inputs, compile, changes, told)
            del given  # converted arrays, which nothing needs any more
            self._warn_of_misfit()
            with self.model.held():  # another thread may save this meanwhile
                self.history, self.progress, self.augment = History(), run, changes
                self.schedule, self.log, self._kept = schedule, None, {}
                self.metrics = figures_wanted
            return self._finish(steps, validation, callbacks, on_nan)

    @on_all_ranks
    def resume(
        self,
        x: Any,
        t: Any = None,
        epochs: int | None = None,
        *,
        validation_data: Iterable[Any] | None = None,
        sample_weight: Any = None,
        class_weight: ClassWeight | None = None,
        metrics: Mapping[str, Function | Metric] | None = None,
        callbacks: Sequence[Callback] = (),
        schedule: Schedule | None = None,
        compile: bool = True,
        progress: bool | None = None,
        on_nan: OnNan = "raise",
    ) -> History:
        """Continue an interrupted or loaded run on the same data, to its end.

        On the same backend the result is that of the uninterrupted run, bit for bit. `epochs`
        changes the total. `schedule` need only be given if the run was loaded from a file and
        follows a function of your own. `validation_split` and `augment` are those of the run;
        weights and metrics are to be given again. `progress` and `on_nan` are as in `fit`. Raises
        RuntimeError if there is no run, ValueError for other data.
        """
        if self.progress is None:
            raise RuntimeError("there is no run to resume: call fit first, or load a checkpoint")
        given = Examples.of(x, t, sample_weight, class_weight, validation_data)
        run, whole = self.progress, arguments.length(given.x)
        left = whole - arguments.part(run.validation_split, whole)
        if left != run.examples:
            apart = "" if run.validation_split is None else f", {left} without those set aside"
            raise ValueError(f"the run was on {run.examples} examples, but x has {whole}{apart}")
        total = run.epochs if epochs is None else arguments.count("epochs", epochs)
        if total < run.epoch:
            done = counted(run.epoch, "epoch")
            raise ValueError(f"the run has done {done} already, more than {epochs}")
        if given.weighted != run.weighted:
            with_ = "with" if run.weighted else "without"
            raise ValueError(f"the run was {with_} sample_weight or class_weight: resume it so")
        callbacks, figures_wanted = self._listed(callbacks, progress), named(metrics)
        schedule, on_nan = arguments.schedule(schedule), arguments.on_nan(on_nan)
        with self._alone(), compilation_shown(progress):
            inputs = self.model.inputs
            told = options_of(run, figures_wanted, schedule, on_nan) | {"epochs": total}
            how = inputs, compile, self.augment
            steps, validation = self._prepared(run, given, *how, told)
            del given  # as in fit
            run.epochs, self.metrics = total, figures_wanted
            if schedule is not None:
                self.schedule = schedule
            return self._finish(steps, validation, callbacks, on_nan)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Refuse a second run while there is one."""
        if not self._fitting.acquire(blocking=False):
            raise RuntimeError(
                "this Trainer is in fit or resume already, in another thread or around this "
                "callback: make a second Trainer, or wait for the end"
            )
        try:
            yield
        finally:
            self._fitting.release()

    def _listed(self, callbacks: Any, progress: bool | None) -> Sequence[Callback]:
        """Return the callbacks, and with them the bar that is asked for: those of this rank."""
        given = arguments.listed(callbacks)
        if self.ranks.rank > 0:
            return [callback for callback in given if callback.on_every_rank]
        if not (person_watches() if progress is None else progress):
            return given
        from nnkit.progress import ProgressBar  # which needs this package

        if any(isinstance(callback, ProgressBar) for callback in given):
            return given
        lines = progress is not None or person_watches("stdout")
        return [ProgressBar(lines=lines), *given]

    def _prepared(
        self,
        run: Progress,
        given: Examples,
        inputs: Inputs,
        capture: bool,
        augment: Augment,
        told: Mapping[str, Any],
    ) -> tuple[Steps, Data | None]:
        """Check all that a run needs; nothing of it has begun yet.

        Where there are other ranks, all were given the same, and were `told` of the same options.
        """
        model, loss, optimizer = self.model, self.loss, self.optimizer
        data, validation = prepared(model, loss, given, run, inputs)
        with model.held():
            optimizer.attach(model)
        run.check()
        how = run.batch_size, run.together, self.workspace, capture, augment, run.seed
        steps = Steps(model, loss, optimizer, data, *how, self.ranks)
        of_all = partial(of_run, model, loss, optimizer, {**told, "augment": augment})
        check_same(self.ranks, lambda: of_all() + of_given(data, validation))
        if run is not self.progress:  # a fit: what is resumed has been told of
            warn_of_pixels(data.x, data.fitted, inputs.high is None)
            warn_of_targets(data.x, given.t, data.fitted)
        model.inputs = data.fitted
        return steps, validation

    def _finish(
        self,
        steps: Steps,
        validation: Data | None,
        callbacks: Sequence[Callback],
        on_nan: OnNan,
    ) -> History:
        """Carry out what is left of the run."""
        self.answers_per_row = self.loss.answers_per_row(*steps.batch.data.outputs)
        self.stop, self.validates = False, validation is not None
        self.validation = validation
        try:
            keeping.restore(self, callbacks, self._kept)
            hooks.begin(self, callbacks)
            loop = self._carried_out(steps, callbacks, on_nan)
        finally:
            self.validation = None
        loop.look_at_weights()
        return self.history

    def _carried_out(self, steps: Steps, callbacks: Sequence[Callback], on_nan: OnNan) -> Loop:
        """Make the steps, and end the callbacks, which were begun."""
        self._callbacks = callbacks
        with steps.model.fitted():
            try:
                with deferred_interrupt() as check:
                    loop = Loop(self, steps, self.validation, callbacks, check, on_nan)
                    loop.finish()
            finally:
                steps.close()
                steps.optimizer.follow(np.ones(1))
                if self.log is not None:
                    self.log = steps.batch.backend.to_numpy(self.log)
                try:
                    hooks.end(self, callbacks)
                finally:
                    self._kept, self._callbacks = self.kept(), ()
        return loop

    def running(self) -> dict[str, float]:
        """Mean loss and accuracy of the current epoch so far, read from the device."""
        assert self.progress is not None
        return self._figures(self.log, self.progress.step)

    def _figures(self, log: Array, steps: int) -> dict[str, float]:
        assert self.progress is not None
        log = self.model.backend.to_numpy(log)[:steps]
        rows = self.progress.batch_sizes(steps)
        by_name = figures(log, rows, self.loss, self.answers_per_row)
        return {name: float(value) for name, value in by_name.items()}

    # ------------------------------------------------------------------ using the model

    @on_all_ranks
    @compilation_shown()
    def evaluate(
        self,
        x: Any,
        t: Any = None,
        batch_size: int = EVALUATION_BATCH,
        *,
        sample_weight: Any = None,
        class_weight: ClassWeight | None = None,
        metrics: Mapping[str, Function | Metric] | None = None,
    ) -> dict[str, float]:
        """Mean "loss", and "accuracy" where the loss has one, over all examples.

        x is scaled as it was in `fit`; batches, weights and metrics are as there. Warns of examples
        far outside of those fitted on, and of outputs that are NaN.
        """
        size, figures_wanted = arguments.count("batch_size", batch_size), named(metrics)
        model, loss = self.model, self.loss
        given = Examples.of(x, t, sample_weight, class_weight)
        data = Data(model, loss, given.x, given.t, model.inputs)
        data.weigh(of_examples(model.backend, loss, *given[1:4], *data.outputs))
        check_same(self.ranks, lambda: of_data("data", data))
        found = evaluate(model, loss, data, size, self.workspace, figures_wanted, self.ranks)
        if np.isnan(found["loss"]):
            warn_of_nan("the loss is NaN, so that no figure means anything")
        return found

    @on_all_ranks
    @compilation_shown()
    def predict(self, x: Any, batch_size: int = EVALUATION_BATCH) -> np.ndarray[Any, Any]:
        """Answers for x, or an iterable of batches of it, as a NumPy array.

        Labels (n,) under SoftmaxCrossEntropy, 0 or 1 for each output under SigmoidCrossEntropy, the
        outputs themselves (n, outputs) otherwise.
        """
        size = arguments.count("batch_size", batch_size)
        return self.loss.answers(outputs(self.model, joined(x), size, lambda y: y, self.ranks))

    @on_all_ranks
    @compilation_shown()
    def predict_proba(self, x: Any, batch_size: int = EVALUATION_BATCH) -> np.ndarray[Any, Any]:
        """Probabilities (n, outputs) as a NumPy array; plain outputs if the loss has none."""
        backend, size = self.model.backend, arguments.count("batch_size", batch_size)
        finish = partial(self.loss.probabilities, backend)
        return outputs(self.model, joined(x), size, finish, self.ranks)

    # ------------------------------------------------------------------ saving

    def save(self, path: str | PathLike[str], **extra: Any) -> None:
        """Write all that `resume` needs to a safetensors file, atomically.

        `extra` is kept in the file and comes back as ``Trainer.load(path).extra``: numbers,
        strings, arrays, and lists and dictionaries of these. NumPy's scalars come back as Python's,
        tuples as lists, paths and keys as strings, CuPy's arrays as NumPy's.

        Raises TypeError for anything else, naming it, ValueError for a state that holds NaN or
        infinity, from which nothing could go on, and OSError where the file cannot be written. The
        old file is as it was then. Of several ranks rank 0 writes; on others nothing is done.
        """
        if self.ranks.rank > 0:
            return
        with self.model.held():
            saving.save(self, path, extra)

    @staticmethod
    def load(
        path: str | PathLike[str],
        backend: str | Backend | None = None,
        custom_layers: Sequence[type[Layer]] = (),
        communicator: Communicator | None = None,
    ) -> Trainer:
        """Read a trainer with its model, optimizer and position, onto any backend.

        With a communicator all ranks read, when all have come here: what rank 0 has saved before is
        there. `custom_layers` and errors as for `nnkit.load`; CheckpointError also where the file
        holds a model only, or names a loss or an optimizer that is not nnkit's.
        """
        ranks = Ranks(communicator)
        with ranks.taking_part("load"):
            ranks.gather(None)
            given = path, backend, custom_layers
            trainer = ranks.together(lambda: saving.load(Trainer, *given))
            trainer.ranks = ranks
        return trainer

    def kept(self) -> States:
        """What the run's callbacks want to be kept, by their names."""
        return keeping.states(self._callbacks, self._kept)

    def keep(self, states: States) -> None:
        """Take over what `kept` gave, for the callbacks of `resume`."""
        self._kept = states

    extra: dict[str, Any] = {}  # noqa: RUF012 - replaced, never changed
    """What was given to `save`, after `load`."""

    # ------------------------------------------------------------------ being shown

    def __repr__(self) -> str:
        return f"Trainer({self.model!r}, {self.loss!r}, {self.optimizer!r})"

    def _repr_html_(self) -> str:
        rows = {"loss": repr(self.loss), "optimizer": repr(self.optimizer)}
        if self.progress is not None:
            rows["run"] = f"{self.progress.epoch} of {self.progress.epochs} epochs done"
        rows |= {name: f"{value:.4g}" for name, value in self.history.last().items()}
        return html.table(("Trainer", ""), rows.items()) + self.model._repr_html_()

    def __getstate__(self) -> dict[str, Any]:
        self.optimizer.attach(self.model)  # the state of the parameters that there are now
        log = None if self.log is None else self.model.backend.to_numpy(self.log).copy()
        passing = {"workspace", "ranks", "_fitting", "_callbacks", "_kept", "log", "metrics"}
        passing |= {"validation"}
        rest = {k: v for k, v in vars(self).items() if k not in passing}
        return {**rest, "log": log, "_kept": self.kept()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, workspace=Workspace(), _fitting=threading.Lock(), _callbacks=())
        self.ranks = Ranks()
        self.metrics, self.validation = {}, None
