"""The training steps of one run: carried out one by one, or captured once and replayed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from nnkit.backends import Array
from nnkit.backends.contract import STEP, CaptureError
from nnkit.dtypes import arithmetic, as_arithmetic, is_number
from nnkit.layers import Workspace
from nnkit.losses import Loss
from nnkit.model import Sequential
from nnkit.optimizers import Optimizer
from nnkit.streaming import Feed

STRETCH, MOST_ROWS = 1024, 2**20
"""Steps of short epochs carried out in one go where nothing comes between, and their examples."""


CHECKED_BYTES = 16 << 20
"""Examples are checked in blocks of this size, so that checking takes no more memory."""


class Data:
    """Checked examples and targets on a model's backend, uint8 images left as bytes.

    Examples that do not fit on the device stay on the host, as a NumPy array.
    """

    def __init__(self, model: Sequential, loss: Loss, x: Any, t: Any, name: str = "x") -> None:
        self.x = examples(model, x, name)
        if np.shape(t)[:1] != (len(self.x),):
            raise ValueError(
                f"{name} has shape {self.x.shape} but its targets have shape {np.shape(t)}: "
                "there must be one target per example"
            )
        self.outputs = model.eval().forward(self.x[:1]).shape[1:]
        if len(self.outputs) != 1:
            raise ValueError(
                f"the model's outputs must be rows of numbers, not of shape {self.outputs}"
            )
        real = arithmetic(model.dtype)
        targets = loss.prepare(model.backend, t, (len(self.x), *self.outputs), real)
        reals = targets.dtype == real
        self.t = model.backend.asarray(targets, model.dtype) if reals else targets
        self.on_host = not model.backend.owns(self.x) or (
            isinstance(self.x, np.ndarray) and self.x.nbytes > model.backend.room()
        )

    def __len__(self) -> int:
        return len(self.x)


def examples(model: Sequential, x: Any, name: str = "x") -> Array:
    """Check examples and move them to the model's backend; uint8 stays, the rest becomes real.

    Raises ValueError for no examples, NaN or infinity, or a shape that does not fit the model;
    TypeError for what is no numbers.
    """
    backend = model.backend
    too_large = isinstance(x, np.ndarray) and x.nbytes > backend.room()
    array = x if too_large or backend.owns(x) else backend.asarray(x)
    if array.ndim < 2 or len(array) == 0:
        raise ValueError(f"{name} must have shape (n, ...) with n of at least 1, not {array.shape}")
    if array.dtype != np.uint8:
        if not is_number(array.dtype):
            raise TypeError(f"{name} must hold numbers, but its dtype is {array.dtype}")
        array = array.astype(model.dtype, copy=False)
        _check_finite(array, name)
    model._checked(array[:1])
    return array if too_large else backend.asarray(array)


def _check_finite(array: Array, name: str) -> None:
    """Raise ValueError if a row holds NaN or infinity; a block of rows at a time."""
    rows = max(1, CHECKED_BYTES // max(1, array[:1].nbytes))
    for start in range(0, len(array), rows):
        block = as_arithmetic(array[start : start + rows])
        if not block.size or bool(abs(block).max() < np.inf):
            continue
        finite = (abs(block.reshape(len(block), -1)) < np.inf).all(axis=1)
        row = start + int(finite.argmin())
        raise ValueError(f"{name} holds NaN or infinity, first in row {row}")


class Batch:
    """The arrays that a mini-batch is gathered into, and the gradient of its outputs.

    Examples that are on the host come through a `feed`, whose blocks hold some batches `together`.
    """

    def __init__(self, model: Sequential, data: Data, size: int, together: int = 1) -> None:
        backend = model.backend
        self.data, self.size, self.backend = data, size, backend
        self.feed = Feed(backend, data.x, size * together) if data.on_host else None
        self.x = backend.empty((size, *data.x.shape[1:]), model.dtype)
        self.t = backend.empty((size, *data.t.shape[1:]), data.t.dtype)
        self.gradient = backend.empty((size, *data.outputs), model.dtype)

    def gather(self, order: Array, counters: Array, rows: int) -> tuple[Array, Array]:
        """Fetch the current step's first `rows` examples and targets."""
        x, t = (self.x, self.t) if rows == self.size else (self.x[:rows], self.t[:rows])
        if self.feed is None:
            self.backend.gather(self.data.x, order, counters, self.size, x)
        else:
            self.backend.gather(self.feed.x, self.feed.positions, counters, self.size, x)
        self.backend.gather(self.data.t, order, counters, self.size, t)
        return x, t


class Steps:
    """A run's steps over one data set. All arrays they use are made here or in the workspace.

    An update by full batches is captured after it has been carried out once, if `capture` is asked
    for and every layer and the loss can be captured; one with a smaller last batch never is. It is
    captured again when other parameters are frozen.
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
    ) -> None:
        backend = model.backend
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.workspace = workspace
        _check_least_rows(model, len(data), batch_size)
        self.batch = Batch(model, data, batch_size, accumulate)
        steps = -(-len(data) // batch_size)
        even = len(data) % batch_size == 0 and accumulate == 1 and not data.on_host
        self.most_epochs = max(1, min(STRETCH // steps, MOST_ROWS // len(data))) if even else 1
        """So many epochs can be carried out in one go."""
        self.order = backend.empty(self.most_epochs * len(data), np.int64)
        self.log = backend.zeros((self.most_epochs * steps, 2), np.float64)
        self._capture = capture and capturable(model, loss)
        self._replay: Callable[[int], None] | None = None
        self._full = [batch_size] * accumulate
        self._trained: list[slice] = []
        self._total = backend.zeros(len(model.flat.grads) if accumulate > 1 else 0, model.dtype)

    def begin(self, order: np.ndarray[Any, Any], step: int = 0, log: Any = None) -> None:
        """Start at a step of one or more epochs in this order, with what was logged before."""
        backend = self.model.backend
        self.order[: len(order)] = backend.asarray(order)
        self.log[...] = 0
        if log is not None:
            self.log[: len(log)] = backend.asarray(log)
        self.optimizer.counters[STEP] = step
        self._row = step * self.batch.size
        if self.batch.feed is not None:
            self.batch.feed.begin(order)

    def close(self) -> None:
        """Let go of the captured step, which may refer to this run and all its arrays."""
        self._replay = None

    def run(self, updates: int, batches: list[int]) -> None:
        """Make so many updates, each by batches of these numbers of examples."""
        self.optimizer.refresh()
        if self.batch.feed is None:
            self._run(updates, batches)
            return
        rows = sum(batches)
        while updates > 0:
            there = max(1, self.batch.feed.require(self._row) // rows)
            self._run(min(updates, there), batches)
            self._row += min(updates, there) * rows
            updates -= there

    def _run(self, updates: int, batches: list[int]) -> None:
        with self.model.using(self.workspace):
            if batches != self._full:
                self._one_by_one(updates, batches)
                return
            trained = self.model.flat.trained()
            if self._replay is None or trained != self._trained:
                self._update(batches)
                updates -= 1
                self._trained, self._replay = trained, self._captured()
            self._replay(updates)

    def _captured(self) -> Callable[[int], None]:
        """Return what repeats an update by full batches."""
        if self._capture:
            try:
                return self.model.backend.capture(lambda: self._update(self._full))
            except CaptureError as error:
                _warn(str(error))
                self._capture = False
        return lambda updates: self._one_by_one(updates, self._full)

    def _one_by_one(self, updates: int, batches: list[int]) -> None:
        for _ in range(updates):
            self._update(batches)

    def _update(self, batches: list[int]) -> None:
        """One update by the mean gradient of some batches. Nothing is read back."""
        model, counters = self.model, self.optimizer.counters
        backend, gradients = model.backend, model.flat.grads
        self._compute_gradients(batches[0])
        if len(batches) > 1:
            weights = np.array(batches) / sum(batches)
            backend.accumulate(gradients, self._total, float(weights[0]), True)
            for rows, weight in zip(batches[1:], weights[1:], strict=True):
                backend.advance(counters, 1, 0, 0)
                self._compute_gradients(rows)
                backend.accumulate(gradients, self._total, float(weight), False)
            gradients = self._total
        self.optimizer.update(model, gradients)
        backend.advance(counters, 1, 1, 0)

    def _compute_gradients(self, rows: int) -> None:
        """Gather a batch; forward pass, loss, backward pass."""
        model, counters = self.model, self.optimizer.counters
        x, t = self.batch.gather(self.order, counters, rows)
        y = model.run_forward(x)
        try:
            self.loss.run(model.backend, y, t, self.batch.gradient[:rows], self.log, counters)
        except Exception as error:
            error.add_note(f"loss {self.loss!r}")
            raise
        model.run_backward(self.loss.backward())


def _check_least_rows(model: Sequential, examples: int, batch_size: int) -> None:
    """Raise ValueError if a layer cannot be trained on the batches of an epoch."""
    rows = examples % batch_size or batch_size
    for layer in model.leaves():
        if rows < layer.least_rows:
            raise ValueError(
                f"{layer!r} needs batches of at least {layer.least_rows} rows in training, but "
                f"{examples} examples in batches of {batch_size} end with one of {rows}: choose "
                "another batch_size"
            )


class CaptureWarning(UserWarning):
    """A training step could not be captured, and runs step by step instead."""


def capturable(model: Sequential, loss: Loss) -> bool:
    """Whether a step through this model and loss can be captured; says once which part cannot."""
    parts = [layer for layer in model.leaves() if not layer.capturable]
    blame = [*map(repr, parts), *([] if loss.capturable else [repr(loss)])]
    if blame:
        _warn(f"{blame[0]} does not say `capturable = True`")
    return not blame and not model.debug


def _warn(reason: str) -> None:
    message = f"the training step is not captured but run step by step: {reason}"
    warnings.warn(message, CaptureWarning, stacklevel=3)
