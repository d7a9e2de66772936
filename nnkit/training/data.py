"""The examples of a run, checked, and the mini-batches that are gathered from them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from nnkit import augment as augmentation
from nnkit.augment import Augment
from nnkit.backends import Array, get_backend
from nnkit.dtypes import arithmetic, as_reals, is_number
from nnkit.given.arrays import taken
from nnkit.given.rows import Rows
from nnkit.layers import Layer, Sequential
from nnkit.layers.inputs import BYTE, Inputs, exceeds
from nnkit.losses import TO_ROWS, Loss
from nnkit.optimizers import Optimizer
from nnkit.targets import on_host
from nnkit.training.ranges import finite_range, warn_of_range
from nnkit.training.streaming import Feed
from nnkit.training.weights import Weights


class Data:
    """Checked examples and targets on a model's backend, scaled as its `inputs` say.

    Image bytes are left as they are, and scaled where they are gathered. Examples that do not fit
    on the device stay on the host, as a NumPy array. Targets are copied, because labels are indexed
    by; examples may be large, and are used where they are.
    """

    def __init__(
        self, model: Sequential, loss: Loss, x: Any, t: Any, inputs: Inputs, name: str = "x"
    ) -> None:
        self.x, self.fitted = examples(model, x, inputs, name)
        t = taken(t)
        self.rows: np.ndarray[Any, Any] = np.arange(len(self.x))
        """Those of the examples that are meant."""
        if t.shape[:1] != (len(self.x),):
            raise ValueError(
                f"{name} has shape {self.x.shape} but its targets have shape {t.shape}: "
                "there must be one target per example"
            )
        with model.using(None), model.in_mode(training=False):
            self.outputs = _shape_of_output(model, as_input(model, self.x[:1]))
        if len(self.outputs) != 1:
            raise ValueError(
                f"the model's outputs must be rows of numbers, not of shape {self.outputs}: "
                f"{TO_ROWS}"
            )
        self.real = real = arithmetic(model.dtype)
        targets = loss.prepare(model.backend, t, (len(self.x), *self.outputs), real)
        dtype = model.dtype if targets.dtype == real else targets.dtype
        self.t = model.backend.xp.array(targets, dtype)  # a copy, which nobody else can change
        self.given = t
        """The targets as they were given."""
        self.weights: Array = None
        """Those of all examples (n,), on the device, with a mean of 1 over the rows."""
        self.renew: Callable[[], None] | None = None
        """Puts the next epoch's examples in the place of these, if every epoch has its own."""
        self.backend = model.backend
        self.on_host = not model.backend.owns(self.x) or (
            isinstance(self.x, np.ndarray) and self.x.nbytes > model.backend.room()
        )

    def part(self, rows: np.ndarray[Any, Any]) -> Data:
        """The same examples, of which these rows are meant."""
        data = copy.copy(self)
        data.rows = rows
        return data

    def targets(self) -> np.ndarray[Any, Any]:
        """Those of the rows as they were given, on the host."""
        targets: np.ndarray[Any, Any] = on_host(self.backend, self.given)[self.rows]
        return targets

    def examples(self, rows: np.ndarray[Any, Any]) -> Array:
        """The examples in these rows of all, where they lie: on the device, or on the host."""
        return self.x[self.backend.asarray(rows) if self.backend.owns(self.x) else rows]

    def weigh(self, weights: Weights | None) -> None:
        """Give the examples weights, of any scale; raises ValueError where those meant have none.

        With a mean of 1 over the rows, the mean of weighted losses is the weighted mean.
        """
        if weights is None:
            return
        mean = weights[self.rows].mean()
        if mean == 0:
            raise ValueError("the weights of a part of the examples are all 0, so nothing counts")
        scaled = self.backend.asarray(weights / mean, self.real)
        if self.weights is None:
            self.weights = scaled
        else:  # which a captured step reads
            self.weights[...] = scaled

    def refill(self, model: Sequential, loss: Loss, x: Any, t: Any) -> None:
        """Take as many other examples, into the arrays that a captured step reads.

        Raises ValueError where they have another shape or dtype, and as for the first ones.
        """
        fresh, model.inputs = examples(model, x, model.inputs)
        targets = loss.prepare(self.backend, t, (len(self.x), *self.outputs), self.real)
        targets = self.backend.asarray(targets, self.t.dtype)
        for name, now, before in (("x", fresh, self.x), ("targets", targets, self.t)):
            if (now.shape, now.dtype) != (before.shape, before.dtype):
                raise ValueError(
                    f"{name} had shape {before.shape} and dtype {before.dtype} in the first epoch, "
                    f"but now {now.shape} and {now.dtype}"
                )
        self.t[...] = targets
        self.given = t
        if self.on_host:
            self.x = fresh
        else:
            self.x[...] = fresh

    def __len__(self) -> int:
        return len(self.rows)


def examples(model: Sequential, x: Any, inputs: Inputs, name: str = "x") -> tuple[Array, Inputs]:
    """Check examples and move them to the model's backend, scaled.

    Image bytes stay uint8, the rest becomes real. With them comes what `inputs` are after a fit on
    them. Raises ValueError for no examples, NaN or infinity, or a shape that does not fit the
    model; TypeError for what is no numbers.
    """
    backend, array = model.backend, taken(x)
    on_host = isinstance(array, Rows) or get_backend("numpy").owns(array)
    too_large = on_host and array.nbytes > backend.room()
    if not (too_large or isinstance(array, Rows) or backend.owns(array)):
        array = backend.asarray(array)
    if array.ndim < 2 or len(array) == 0:
        raise ValueError(f"{name} must have shape (n, ...) with n of at least 1, not {array.shape}")
    if not is_number(array.dtype):
        raise TypeError(f"{name} must hold numbers, but its dtype is {array.dtype}")
    model.check_shape(array.shape)
    given, factor = array.dtype, inputs.factor(array)
    if given == np.uint8 and factor == BYTE:
        low, high = 0.0, 1.0 if exceeds(array, 1) else BYTE
    else:
        array = _converted(array, model.dtype, factor, too_large)
        low, high = finite_range(array, name)
    warn_of_range(array, low, high, inputs, name)
    fitted = inputs.fitted_on(given, factor, low, high)
    return array if too_large or isinstance(array, Rows) else backend.asarray(array), fitted


def _converted(array: Array | Rows, dtype: Any, factor: float, too_large: bool) -> Array | Rows:
    """Return reals, scaled; of what is sparse, or in a file, or too large, when they are read."""
    if isinstance(array, Rows):
        return array.converted(dtype, factor)
    same = array.dtype == dtype and factor == 1
    if not same and (too_large or isinstance(array, np.memmap)):
        return Rows(array, dtype, factor)
    return as_reals(array, dtype, factor)


def as_input(model: Sequential, batch: Array) -> Array:
    """Rows of checked examples as the model's inputs."""
    real = as_reals(batch, model.dtype, BYTE if batch.dtype == np.uint8 else 1)
    return model.backend.asarray(real)


def does_operations_alone(part: Layer | Loss | Optimizer) -> bool:
    """Whether passes may be made without numbers, for the shapes alone.

    Somebody's own part may look at numbers, or keep some, even if it says that it can be captured.
    """
    return part.capturable and type(part).__module__.partition(".")[0] == "nnkit"


def _shape_of_output(model: Sequential, x: Array) -> tuple[int, ...]:
    """The shape of one output, computed for one example where a layer uses more than operations."""
    if model.debug or not all(does_operations_alone(layer) for _, layer in model.walk()):
        y = model.run_forward(x)
    else:
        y = model.backend.rehearse(lambda: model.run_forward(x))
    shape: tuple[int, ...] = y.shape[1:]
    return shape


def _picture(model: Sequential, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of an example as a picture: rows of pixels are what an `Image` in front makes."""
    wanted = model.input_shape
    rows_of_pixels = wanted is not None and len(wanted) == 3 and shape == (prod(wanted),)
    return wanted if wanted is not None and rows_of_pixels else shape


class Batch:
    """The arrays that a mini-batch is gathered into, and the gradient of its outputs.

    Examples that are on the host come through a `feed`, whose blocks hold some batches `together`.
    Pictures are changed on the way as `augment` says, at random by a `seed`.
    """

    def __init__(
        self,
        model: Sequential,
        data: Data,
        size: int,
        together: int = 1,
        augment: Augment = (),
        seed: int = 0,
    ) -> None:
        backend = model.backend
        self.data, self.size, self.backend = data, size, backend
        self.first = 0
        """Examples of the whole batch in front of ours, which other ranks have."""
        self.feed = Feed(backend, data.x, size * together) if data.on_host else None
        self.key, self.changes = augmentation.key(seed), None
        self.picture = _picture(model, data.x.shape[1:])
        self.x = self.changed = backend.empty((size, *data.x.shape[1:]), model.dtype)
        if augment:
            self.changes = augmentation.changes(augment, (len(data), *self.picture))
            self.changed = backend.empty(self.x.shape, model.dtype)
        self.t = backend.empty((size, *data.t.shape[1:]), data.t.dtype)
        weights = data.weights
        self.weights = None if weights is None else backend.empty(size, weights.dtype)
        self.gradient = backend.empty((size, *data.outputs), model.dtype)

    def measure(self, loss: Loss, y: Array, t: Array, log: Array, counters: Array) -> Array:
        """Have a loss look at the outputs of the batch that was gathered; return their gradient."""
        rows, weights = len(y), () if self.weights is None else (self.weights[: len(y)],)
        gradient = self.gradient[:rows]
        try:
            loss.measure(self.backend, y, t, gradient, log, counters, *weights)
        except Exception as error:
            error.add_note(f"loss {loss!r}")
            raise
        return gradient

    def gather(self, order: Array, counters: Array, rows: int) -> tuple[Array, Array]:
        """Fetch the current step's first `rows` examples and targets; pictures are changed."""
        x, t = (self.x, self.t) if rows == self.size else (self.x[:rows], self.t[:rows])
        if self.feed is None:
            self.backend.gather(self.data.x, order, counters, self.size, x)
        else:
            self.backend.gather(self.feed.x, self.feed.positions, counters, self.size, x)
        self.backend.gather(self.data.t, order, counters, self.size, t)
        if self.weights is not None:
            weights = self.weights[:rows]
            self.backend.gather(self.data.weights, order, counters, self.size, weights)
        if self.changes is None:
            return x, t
        changed = self.changed if rows == self.size else self.changed[:rows]
        given, made = (array.reshape(rows, *self.picture) for array in (x, changed))
        self.backend.augment(given, self.changes, self.key, counters, made, self.first)
        return changed, t
