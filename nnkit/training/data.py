"""The examples of a run, checked, and the mini-batches that are gathered from them."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.backends import Array
from nnkit.dtypes import arithmetic, as_arithmetic, is_number
from nnkit.layers import Sequential
from nnkit.losses import Loss
from nnkit.training.streaming import Feed

CHECKED_BYTES = 16 << 20
"""Examples are checked in blocks of this size, so that checking takes no more memory."""


class Data:
    """Checked examples and targets on a model's backend, uint8 images left as bytes.

    Examples that do not fit on the device stay on the host, as a NumPy array. Targets are copied,
    because labels are indexed by; examples may be large, and are used where they are.
    """

    def __init__(self, model: Sequential, loss: Loss, x: Any, t: Any, name: str = "x") -> None:
        self.x = examples(model, x, name)
        if np.shape(t)[:1] != (len(self.x),):
            raise ValueError(
                f"{name} has shape {self.x.shape} but its targets have shape {np.shape(t)}: "
                "there must be one target per example"
            )
        with model.using(None), model.in_mode(training=False):
            self.outputs = model.run_forward(model._checked(self.x[:1])).shape[1:]
        if len(self.outputs) != 1:
            raise ValueError(
                f"the model's outputs must be rows of numbers, not of shape {self.outputs}"
            )
        real = arithmetic(model.dtype)
        targets = loss.prepare(model.backend, t, (len(self.x), *self.outputs), real)
        dtype = model.dtype if targets.dtype == real else targets.dtype
        self.t = model.backend.xp.array(targets, dtype)  # a copy, which nobody else can change
        self.backend = model.backend
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
