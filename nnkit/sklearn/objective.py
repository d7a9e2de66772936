"""What scikit-learn's perceptrons minimise: a loss, and a penalty of the weights."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from nnkit.backends import Array, Backend
from nnkit.layers import Sequential
from nnkit.losses import HalfSquaredError, Loss, PoissonLoss, SoftmaxCrossEntropy
from nnkit.parameters import Parameter
from nnkit.sklearn.setting_aside import Examples


class Objective(Loss):
    """A loss and ``alpha / (2 rows) * sum(W^2)`` of all weights, `rows` being those of a batch.

    Biases are not punished. The penalty's gradient is added by an optimizer of
    `nnkit.sklearn.solvers`, which asks for its `strength`: the backward pass overwrites what is
    there before. Its value is logged on the device, beside that of the loss.

    scikit-learn adds up the losses of a row's outputs, but reports the mean of half their squares.
    nnkit's losses are means or sums, which the two factors see to.

    Parameters
    ----------
    loss
        The loss without a penalty.
    outputs
        How many outputs the model has.
    alpha
        The penalty's strength.
    """

    capturable = True

    def __init__(self, loss: Loss, outputs: int, alpha: float) -> None:
        self.loss, self.outputs, self.alpha = loss, outputs, alpha
        self.counts_correct = loss.counts_correct  # type: ignore[misc]
        adds_up = isinstance(loss, SoftmaxCrossEntropy | HalfSquaredError)
        self.factor = 1.0 if adds_up else float(outputs)
        self._reported = 1 / outputs if isinstance(loss, HalfSquaredError) else self.factor
        self.offset = 0.0
        """What depends on the targets alone, and is added to what is reported."""
        self.punished: Sequence[Parameter] = ()
        """The weights."""
        self._rows = 1
        self._means: dict[tuple[int, ...], Array] = {}
        self.squares: list[Array] = []
        """For each of the weights, float64 (steps, 2): half its sum of squares, and 0."""

    def punish(self, model: Sequential) -> None:
        """Take the weights of this model, its matrices, from now on."""
        backend = model.backend
        self.punished = [p for p in model.parameters() if len(p.shape) == 2]
        self._means, self.squares = {}, []
        shape = 1, max(prod(p.shape) for p in self.punished)
        self._zeros, self._slopes = (backend.zeros(shape, model.dtype) for _ in range(2))

    @property
    def strength(self) -> float:
        """The penalty's gradient, as a multiple of the weights, for the batch measured last."""
        return self.alpha / self._rows

    def reported(self, loss: Any) -> Any:
        """The loss that was logged, as scikit-learn reports it, but for the penalty."""
        return loss * self._reported + self.offset

    def prepare(self, backend: Backend, target: Any, shape: tuple[int, ...], dtype: Any) -> Array:
        """Targets as the loss takes them."""
        return self.loss.prepare(backend, target, shape, dtype)

    def measure(
        self,
        backend: Backend,
        y: Array,
        t: Array,
        gradient: Array,
        log: Array,
        counters: Array,
        weights: Array = None,
    ) -> None:
        """Write gradient and loss, see `Loss`, and the weights' squares to `squares`."""
        self._rows = len(y)
        mean = gradient
        if self.factor != 1:
            if y.shape not in self._means:
                self._means[y.shape] = backend.empty(y.shape, y.dtype)
            mean = self._means[y.shape]
        self.loss.measure(backend, y, t, mean, log, counters, weights)
        if mean is not gradient:
            backend.accumulate(mean.reshape(-1), gradient.reshape(-1), self.factor, True)
        if self.alpha:
            self._log_squares(backend, log.shape, counters)

    def _log_squares(self, backend: Backend, shape: tuple[int, ...], counters: Array) -> None:
        """Log half the sums of squares: the error of the weights, as one row, against 0."""
        if not self.squares or self.squares[0].shape != shape:
            self.squares = [backend.zeros(shape, np.float64) for _ in self.punished]
        for weight, log in zip(self.punished, self.squares, strict=True):
            row = weight.value.reshape(1, -1)
            zeros, slopes = (array[:, : row.size] for array in (self._zeros, self._slopes))
            backend.elementwise_loss("half_squared_error", row, zeros, slopes, log, counters)

    def penalties(self, backend: Backend, steps: int) -> np.ndarray[Any, Any]:
        """The penalty over `alpha`, before its division by rows, in each of the first steps."""
        if not self.alpha:
            return np.zeros(steps)
        logged = (backend.to_numpy(log)[:steps, 0] for log in self.squares)
        total: np.ndarray[Any, Any] = sum(logged, np.zeros(steps))
        return total

    def probabilities(self, backend: Backend, y: Array) -> Array:
        """Those of the loss."""
        return self.loss.probabilities(backend, y)

    def answers_per_row(self, outputs: int) -> int:
        """Those of the loss."""
        return self.loss.answers_per_row(outputs)

    def __getstate__(self) -> dict[str, Any]:
        passing = ("_means", "squares", "_zeros", "_slopes")
        return {name: value for name, value in vars(self).items() if name not in passing}


def objective(estimator: Any, examples: Examples) -> Objective:
    """What an estimator minimises for some examples.

    `alpha` is divided by the sum of their weights, of which a trainer makes the mean 1.
    """
    weights = examples.weights
    mean = 1.0 if weights is None else float(weights.mean())
    made = Objective(estimator._loss, estimator.n_outputs_, estimator.alpha / mean)
    if isinstance(estimator._loss, PoissonLoss):
        made.offset = _deviance_offset(examples.t, weights)
    return made


def _deviance_offset(t: np.ndarray[Any, Any], weights: np.ndarray[Any, Any] | None) -> float:
    """``mean(t log t - t)``, which half the Poisson deviance has more than `PoissonLoss`."""
    columns = np.asarray(t, np.float64).reshape(len(t), -1)
    logarithms = np.log(columns, where=columns > 0, out=np.zeros(columns.shape))
    rows = (columns * logarithms - columns).sum(axis=1)
    return float(np.average(rows, weights=weights))
