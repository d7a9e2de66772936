"""The training steps of one run: carried out one by one, or captured once and replayed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnkit.augment import Augment
from nnkit.backends import Array
from nnkit.backends.contract import STEP, CaptureError
from nnkit.layers import Layer, Sequential
from nnkit.layers.workspace import Workspace
from nnkit.losses import Loss
from nnkit.optimizers import Optimizer
from nnkit.parameters import Run, find_runs, total_room
from nnkit.showing.warning import warn
from nnkit.showing.words import counted
from nnkit.training.configuration import Configuration, configuration
from nnkit.training.data import Batch, Data, does_operations_alone
from nnkit.training.division import Division
from nnkit.training.indices import check_log, check_step
from nnkit.training.ranks import Ranks
from nnkit.training.sameness import check_same, of_data

STRETCH, MOST_ROWS = 1024, 2**20
"""Steps of short epochs carried out in one go where nothing comes between, and their examples."""


class Steps:
    """A run's steps over one data set. All arrays they use are made here or in the workspace.

    Pictures are changed as `augment` says, at random by the run's `seed`. Of each batch this
    process computes its share among `ranks`, and makes the update of the whole.

    An update by full batches is captured after it has been carried out once, if `capture` is asked
    for and every layer, the loss and the optimizer can be captured; one with a smaller last batch
    when it comes for the second time. It is captured again when anything in it is another than it
    was captured for.
    """

    def __init__(
        self,
        model: Sequential,
        loss: Loss,
        optimizer: Optimizer,
        data: Data,
        batch_size: int,
        accumulate: int,
        workspace: Workspace,
        capture: bool,
        augment: Augment = (),
        seed: int = 0,
        ranks: Ranks | None = None,
    ) -> None:
        backend = model.backend
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.workspace, self.augment = workspace, augment
        self.division = Division(ranks or Ranks(), batch_size)
        _check_least_rows(model, len(data), self.division)
        self.batch = Batch(model, data, self.division.rows, accumulate, augment, seed)
        self._draws = int(bool(augment))
        """Random forwards that a batch counts in the optimizer's counters."""
        steps = -(-len(data) // batch_size)
        even = len(data) % batch_size == 0 and accumulate == 1 and not data.on_host
        even = even and data.renew is None
        self.most_epochs = max(1, min(STRETCH // steps, MOST_ROWS // len(data))) if even else 1
        """So many epochs can be carried out in one go."""
        places = self.division.order(np.arange(self.most_epochs * len(data)))
        self.order = backend.empty(len(places), np.int64)
        self.log = backend.zeros((self.most_epochs * steps, 2), np.float64)
        self._begun = False
        """Whether an epoch has been, so that the next may have other examples."""
        self._wanted = capture
        self._capture = False
        self._blamed: object = None
        self._replays: dict[tuple[int, ...], Callable[[int], None]] = {}
        """What repeats an update by such batches."""
        self._ended: set[tuple[int, ...]] = set()
        """Smaller batches that an epoch has ended with."""
        self._full = [batch_size] * accumulate
        self._accumulate = accumulate
        self._configured: Configuration = ()
        self._runs: list[Run] = []
        self._total: Array = None

    def begin(self, order: np.ndarray[Any, Any], step: int = 0, log: Any = None) -> None:
        """Start at a step of one or more epochs in this order, with what was logged before."""
        backend, data = self.model.backend, self.batch.data
        if self._begun and data.renew is not None:
            data.renew()
            check_same(self.division.ranks, lambda: of_data("training data", data))
        self._begun = True
        order = data.rows[self.division.order(order)]
        self.order[: len(order)] = backend.asarray(order)
        self.log[...] = 0
        if log is not None:
            self.log[: len(log)] = backend.asarray(log)
        self.optimizer.counters[STEP] = step
        self._row = step * self.batch.size
        if self.batch.feed is not None:
            self.batch.feed.begin(order, data.x)

    def close(self) -> None:
        """Let go of the captured step, which may refer to this run and all its arrays."""
        self._replays.clear()
        self._configured = ()

    def check_step(self, step: int) -> None:
        """Raise IndexError if this is not the step to be made next (see indices.py)."""
        check_step(self.model.backend.to_numpy(self.optimizer.counters), step)

    def check_log(self, log: np.ndarray[Any, Any], first: int = 0) -> None:
        """Raise IndexError if a step from `first` on was of what is not there (see indices.py)."""
        check_log(log, first, self.batch.data, self.order, self.batch.size)

    def make(self, updates: int, batches: list[int], last: Sequence[int] = ()) -> None:
        """Make so many updates, each by batches of these numbers of examples.

        Behind them one by the batches `last`, if there are any.
        """
        self._follow_changes()
        self.optimizer.refresh()
        with self.model.using(self.workspace):
            self._feed(updates, batches)
            if last:
                self._feed(1, [*last])
        self._configured = configuration(self.model, self.loss, self.optimizer)

    def _feed(self, updates: int, batches: list[int]) -> None:
        """Make updates as far as their examples have come from the host, and wait for more."""
        if self.batch.feed is None:
            self._make(updates, batches)
            return
        rows = len(batches) * self.batch.size
        while updates > 0:
            there = max(1, self.batch.feed.require(self._row) // rows)
            self._make(min(updates, there), batches)
            self._row += min(updates, there) * rows
            updates -= there

    def _follow_changes(self) -> None:
        """Forget the captured step if something was changed since the last steps.

        What the steps themselves change does not count.
        """
        model = self.model
        model.settle()
        if model.backend is not self.batch.backend:
            raise RuntimeError(
                f"the model was moved to {model.backend.name} in the middle of a run on "
                f"{self.batch.backend.name}: end it first, and resume"
            )
        self.optimizer.attach(model)
        now = configuration(model, self.loss, self.optimizer)
        if now == self._configured:
            return
        self._replays.clear()
        self._capture = self._wanted and self._capturable()
        self._runs = find_runs(model.parameters(), trained=True)
        size = total_room(model.parameters()) if self._accumulate > 1 else 0
        if self._total is None or len(self._total) != size:
            self._total = model.backend.zeros(size, model.dtype)
        outputs = model.output_shape(self.batch.x.shape[1:])
        if outputs != self.batch.data.outputs:
            raise ValueError(
                f"the model's outputs were changed from shape {self.batch.data.outputs} to "
                f"{outputs} in the middle of a run: end it first"
            )

    def _make(self, updates: int, batches: list[int]) -> None:
        sizes = tuple(batches)
        if sizes not in self._replays:
            self._prepare(batches)
            self._update(batches)
            updates -= 1
            if batches != self._full and sizes not in self._ended:
                self._ended.add(sizes)  # a single epoch needs it no more
                return
            self._replays[sizes] = self._captured(batches)
        self._replays[sizes](updates)

    def _prepare(self, batches: list[int]) -> None:
        """Have what an update needs compiled, before the first one that a trainer makes."""
        if self._capture and not (self.model.debug or self.workspace.prepared):
            self.workspace.prepared = True
            if all(map(does_operations_alone, self._parts())):
                self.model.backend.prepare(lambda: self._update(batches))

    def _captured(self, batches: list[int]) -> Callable[[int], None]:
        """Return what repeats an update by such batches."""
        if self._capture and not self.model.debug:
            try:
                return self.model.backend.capture(lambda: self._update(batches))
            except CaptureError as error:
                _warn(str(error))
                self._wanted = self._capture = False
        return lambda updates: self._one_by_one(updates, batches)

    def _parts(self) -> list[Layer | Loss | Optimizer]:
        """All that takes part in a step."""
        return [*(layer for _, layer in self.model.walk()), self.loss, self.optimizer]

    def _capturable(self) -> bool:
        """Whether all parts of a step can be captured; says once which cannot."""
        blamed = next((part for part in self._parts() if not part.capturable), None)
        if blamed is not None and blamed is not self._blamed:
            _warn(f"{blamed!r} does not say `capturable = True`")
        self._blamed = blamed
        return blamed is None

    def _one_by_one(self, updates: int, batches: list[int]) -> None:
        for _ in range(updates):
            self._update(batches)

    def _update(self, batches: list[int]) -> None:
        """One update by the mean gradient of some batches. Nothing is read back."""
        counters, backend = self.optimizer.counters, self.model.backend
        self._compute_gradients(batches[0])
        gradients: Array = None
        if len(batches) > 1:
            weights = np.array(batches) / sum(batches)
            self._add_up(float(weights[0]), start=True)
            for rows, weight in zip(batches[1:], weights[1:], strict=True):
                backend.advance(counters, 1, 0, self._draws)
                self._compute_gradients(rows)
                self._add_up(float(weight), start=False)
            gradients = self._total
        for run in self._runs:
            self.division.add_up(backend, run.grads if gradients is None else run.of(gradients))
        self.optimizer.update(self._runs, gradients)
        backend.advance(counters, 1, 1, self._draws)

    def _add_up(self, weight: float, start: bool) -> None:
        """Add a batch's gradients to those of the update."""
        for run in self._runs:
            self.model.backend.accumulate(run.grads, run.of(self._total), weight, start)

    def _compute_gradients(self, rows: int) -> None:
        """Gradients of a batch of so many examples, or the part of them that this rank computes."""
        share = self.division.share(rows)
        if share is None:
            self._pass(rows)
            return
        with self.model.using(self.workspace, share=share):
            self.batch.first = share.first
            self._pass(share.rows, share.rows / rows)

    def _pass(self, rows: int, part: float = 1.0) -> None:
        """Gather a batch; forward pass, loss, backward pass of a `part` of the mean loss.

        Without rows, which an update of other ranks may have, there is nothing to look at.
        """
        model, counters = self.model, self.optimizer.counters
        if not rows:
            model.run_forward(self.batch.changed[:0])
            model.run_backward(self.batch.gradient[:0])
            return
        x, t = self.batch.gather(self.order, counters, rows)
        y = model.run_forward(x)
        gradient = self.batch.measure(self.loss, y, t, self.log, counters)
        if part != 1.0:
            flat = gradient.reshape(-1)
            model.backend.accumulate(flat, flat, part, True)
        model.run_backward(gradient)


def _check_least_rows(model: Sequential, examples: int, division: Division) -> None:
    """Raise ValueError if a layer cannot be trained on the batches of an epoch, or its share."""
    batch_size, size = division.batch_size, division.ranks.size
    whole = examples % batch_size or batch_size
    for _, layer in model.walk():
        together = getattr(layer, "sync", layer.least_rows == 1)  # who takes one row takes none
        rows = whole if together else whole // size
        if rows < layer.least_rows:
            part = "" if rows == whole else f", of which a rank has {rows}"
            raise ValueError(
                f"{layer!r} needs batches of at least {counted(layer.least_rows, 'row')} in "
                f"training, but {examples} examples in batches of {batch_size} end with one of "
                f"{whole}{part}: choose another batch_size"
            )


class CaptureWarning(UserWarning):
    """A training step could not be captured, and runs step by step instead."""


def _warn(reason: str) -> None:
    warn(f"the training step is not captured but run step by step: {reason}", CaptureWarning)
