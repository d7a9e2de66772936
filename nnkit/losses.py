"""Losses. Each computes its value and its gradient in one fused pass."""

from __future__ import annotations

from inspect import Parameter, signature
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nnkit.backends import Array, Backend, current_backend, get_backend
from nnkit.configured import Configured
from nnkit.dtypes import arithmetic
from nnkit.given import names
from nnkit.given.arrays import on_device
from nnkit.given.meanings import (
    ANY,
    BOUNDED,
    DISTRIBUTIONS,
    LOG_PROBABILITIES,
    PROBABILITIES,
    Meaning,
)
from nnkit.given.missing import missing
from nnkit.given.options import number
from nnkit.kernels.table import LOSSES
from nnkit.targets import as_numbers, checked_weights, labels

__all__ = [
    "BinaryCrossEntropy",
    "CategoricalCrossEntropy",
    "HalfSquaredError",
    "HingeLoss",
    "HuberLoss",
    "Loss",
    "MeanSquaredError",
    "PoissonLoss",
    "SigmoidCrossEntropy",
    "SoftmaxCrossEntropy",
]

TO_ROWS = "put Flatten() behind the last layer, or GlobalAvgPool2d() for the mean of each channel"
"""What is to be done with a model whose outputs are images."""


class Loss(Configured):
    """The mean loss of predictions against targets, and its gradient.

    ``loss(prediction, target)`` returns a float and keeps the gradient for `backward`. A trainer
    uses `prepare` once for a whole data set and `measure` in every step, which reads nothing back.
    """

    counts_correct: ClassVar[bool] = False
    """Whether `measure` also logs how many answers were right."""

    capturable: ClassVar[bool] = False
    """As for layers: whether `measure` does nothing but call operations of the backend."""

    takes: ClassVar[tuple[Meaning, ...]] = ()
    """What predictions may be, the usual first; anything, if there is nothing here."""

    twin: ClassVar[str] = ""
    """The loss of this file that takes the same targets, but predictions of another meaning."""

    least_outputs: ClassVar[int] = 1
    """Outputs from which on there is anything to learn."""

    _gradient: Array = None

    def __call__(self, prediction: Any, target: Any, sample_weight: Any = None) -> float:
        """Mean loss of `prediction` (n, outputs); raises ValueError for targets that do not fit.

        With `sample_weight` (n,), ``sum(weight * loss) / sum(weight)`` over the rows.
        """
        backend = current_backend()
        if on_device(prediction) and backend.name != "cupy":
            backend = get_backend("cupy")
        y = backend.asarray(prediction)
        if y.dtype not in (np.float32, np.float64):
            y = backend.asarray(y, np.float32)
        if y.ndim != 2:
            remedy = f": {TO_ROWS}" if y.ndim > 2 else ""
            raise ValueError(f"predictions must have shape (n, outputs), not {y.shape}{remedy}")
        t = self.prepare(backend, target, y.shape, y.dtype)
        weights = () if sample_weight is None else (_weights(self, backend, sample_weight, y),)
        self._gradient = gradient = backend.empty(y.shape, y.dtype)
        log, counters = backend.zeros((1, 2), np.float64), backend.zeros(3, np.int64)
        self.measure(backend, y, t, gradient, log, counters, *weights)
        return float(backend.to_numpy(log)[0, 0])

    def backward(self) -> Array:
        """Gradient of the mean loss by the last predictions, of their shape."""
        if self._gradient is None:
            raise RuntimeError("call the loss on predictions and targets before backward()")
        return self._gradient

    def prepare(self, backend: Backend, target: Any, shape: tuple[int, ...], dtype: Any) -> Array:
        """Check targets for predictions of this shape and move them to the backend."""
        raise NotImplementedError

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
        """Write the gradient, and the loss into this step's row of `log` (see `Backend`).

        `weights` (n,) are given where examples have some: each one's part of the gradient, of the
        loss and of the right answers is to be multiplied by its weight.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define measure")

    def answers_per_row(self, outputs: int) -> int:
        """How many of the answers that `measure` counts there are in a row of that many outputs."""
        return 1

    def answers(self, y: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Turn outputs into answers: what `Trainer.predict` returns."""
        return y

    def probabilities(self, backend: Backend, y: Array) -> Array:
        """Turn outputs into probabilities: what `Trainer.predict_proba` returns."""
        return y

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_gradient"}


def check_takes_weights(loss: Loss) -> None:
    """Raise TypeError, with the remedy, for a loss of one's own that cannot be given weights."""
    parameters = signature(loss.measure).parameters.values()
    if not any(p.name == "weights" or p.kind == Parameter.VAR_POSITIONAL for p in parameters):
        raise TypeError(
            f"{type(loss).__name__}.measure takes no weights: give it one more argument, "
            "weights=None, for what to multiply each example's gradient and loss by, (n,)"
        )


def _weights(loss: Loss, backend: Backend, sample_weight: Any, y: Array) -> Array:
    """Weights of predictions, with a mean of 1, as `measure` takes them."""
    check_takes_weights(loss)
    checked = checked_weights(backend, sample_weight, len(y))
    return backend.asarray(checked / checked.mean(), arithmetic(y.dtype))


class _Categorical(Loss):
    """A loss of classes: targets are labels (n,) or rows of probabilities (n, classes).

    Labels are whole numbers of any dtype, booleans too, and may be a column (n, 1).
    """

    counts_correct = True
    least_outputs = 2

    def prepare(self, backend: Backend, target: Any, shape: tuple[int, ...], dtype: Any) -> Array:
        """Labels become int32, rows stay real; raises ValueError where they do not fit."""
        t = as_numbers(backend, target)
        n, classes = shape
        if t.shape == (n, classes):
            t = backend.asarray(t, dtype)
            if n and not bool((abs(t.sum(axis=1) - 1) < 1e-3).all() and (t >= 0).all()):
                raise ValueError("target rows must be probabilities: not negative, with sum 1")
            return t
        return backend.asarray(labels(t, n, classes))

    def answers(self, y: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the class with the largest output, (n,)."""
        labels: np.ndarray[Any, Any] = y.argmax(axis=1)
        return labels


def _as_rows(backend: Backend, t: Array, classes: int, dtype: Any) -> Array:
    """One-hot rows of labels; rows are as they are."""
    if t.ndim == 2:
        return t
    return backend.asarray(np.eye(classes, dtype=dtype)[backend.to_numpy(t)])


class SoftmaxCrossEntropy(_Categorical):
    """Softmax and cross-entropy of logits (n, classes): ``-mean(log softmax(z)[target])``.

    Targets are labels (n,), whole numbers of any dtype, or rows of probabilities (n, classes),
    one-hot for instance. For the names of classes ``names, t = np.unique(t, return_inverse=True)``
    gives labels. The gradient is ``(softmax(z) - onehot(target)) / n``.

    Parameters
    ----------
    label_smoothing
        From 0 to below 1: takes ``(1 - s) * target + s / classes`` for the target (Szegedy et al.
        2016, as in PyTorch), in evaluation too. Labels become rows, which take n * classes numbers.
    """

    takes = (ANY, LOG_PROBABILITIES)
    twin = "CategoricalCrossEntropy"
    capturable = True
    options = ("label_smoothing",)
    label_smoothing: float = number(least=0, below=1)

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = label_smoothing

    def prepare(self, backend: Backend, target: Any, shape: tuple[int, ...], dtype: Any) -> Array:
        """Labels become int32, rows stay real; raises ValueError where they do not fit."""
        t, s = super().prepare(backend, target, shape, dtype), self.label_smoothing
        if not s:
            return t
        return _as_rows(backend, t, shape[1], np.dtype(dtype)) * (1 - s) + s / shape[1]

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
        """Write gradient and loss, see `Loss`."""
        backend.softmax_cross_entropy(y, t, gradient, log, counters, weights)

    def probabilities(self, backend: Backend, y: Array) -> Array:
        """Softmax of the logits."""
        return backend.softmax(y)


class CategoricalCrossEntropy(_Categorical):
    """Cross-entropy of probabilities y (n, classes): ``-sum(t log(y + delta)) / n``.

    What the texts compute behind a `Softmax` layer; delta keeps log() from minus infinity, and the
    gradient ``-t / (y + delta) / n`` is that of the formula with it. `SoftmaxCrossEntropy` of
    logits is faster and exact. Targets are those of `SoftmaxCrossEntropy`; labels become one-hot
    rows.
    """

    takes = (DISTRIBUTIONS,)
    twin = "SoftmaxCrossEntropy"
    capturable = True
    options = ("delta",)
    delta: float = number(above=0)

    def __init__(self, delta: float = 1e-7) -> None:
        self.delta = delta

    def prepare(self, backend: Backend, target: Any, shape: tuple[int, ...], dtype: Any) -> Array:
        """Rows of probabilities; raises ValueError where targets do not fit."""
        t = super().prepare(backend, target, shape, dtype)
        return _as_rows(backend, t, shape[1], np.dtype(dtype))

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
        """Write gradient and loss, see `Loss`."""
        backend.categorical_cross_entropy(y, t, gradient, log, counters, self.delta, weights)


class _Elementwise(Loss):
    """A loss of each output against a target of its own; the formulas: `LOSSES` of the table."""

    kind: ClassVar[str]

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
        """Write gradient and loss, see `Loss`."""
        backend.elementwise_loss(self.kind, y, t, gradient, log, counters, self._alpha(), weights)

    def _alpha(self) -> float:
        """Return the number `a` in the formulas."""
        return 0.0

    def prepare(self, backend: Backend, target: Any, shape: tuple[int, ...], dtype: Any) -> Array:
        """Targets of the predictions' shape (or (n,) for one output) as reals."""
        t = backend.asarray(as_numbers(backend, target), dtype)
        if t.shape == shape[:1] and shape[1] == 1:
            t = t.reshape(shape)
        if t.shape != shape:
            labels = t.shape == shape[:1] and bool((t % 1 == 0).all())
            hint = f": one-hot rows of labels are np.eye({shape[1]})[t]" if labels else ""
            if t.shape[:1] == shape[:1] and t.size == prod(shape):
                hint = ": give t.reshape(len(t), -1)"
            raise ValueError(f"targets of shape {t.shape} for predictions of shape {shape}{hint}")
        if t.size and not bool(backend.xp.isfinite(t).all()):
            raise ValueError("targets hold NaN or infinity")
        return t


class _Binary(_Elementwise):
    """A loss of answers yes or no, each with a target from 0 to 1."""

    counts_correct = True

    def prepare(self, backend: Backend, target: Any, shape: tuple[int, ...], dtype: Any) -> Array:
        """Targets of the predictions' shape, each from 0 to 1."""
        t = super().prepare(backend, target, shape, dtype)
        if t.size and not bool((t >= 0).all() and (t <= 1).all()):
            raise ValueError(f"targets of {type(self).__name__} must be from 0 to 1")
        return t

    def answers_per_row(self, outputs: int) -> int:
        """Every output is an answer."""
        return outputs

    def answers(self, y: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """1 for yes, 0 for no."""
        return (y > LOSSES[self.kind].threshold).astype(np.int64)


class SigmoidCrossEntropy(_Binary):
    """Sigmoid and binary cross-entropy of logits z against targets t in 0..1, mean over elements.

    ``max(z, 0) - z t + log(1 + exp(-|z|))``; the gradient is ``(sigmoid(z) - t) / z.size``.

    Parameters
    ----------
    label_smoothing
        From 0 to below 1: takes ``(1 - s) * t + s / 2`` for the target (as in Keras), in evaluation
        too.
    """

    kind = "sigmoid_cross_entropy"
    takes = (ANY,)
    twin = "BinaryCrossEntropy"
    capturable = True
    options = ("label_smoothing",)
    label_smoothing: float = number(least=0, below=1)

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = label_smoothing

    def prepare(self, backend: Backend, target: Any, shape: tuple[int, ...], dtype: Any) -> Array:
        """Targets of the predictions' shape, each from 0 to 1."""
        t, s = super().prepare(backend, target, shape, dtype), self.label_smoothing
        return t * (1 - s) + s / 2 if s else t

    def probabilities(self, backend: Backend, y: Array) -> Array:
        """Sigmoid of the logits."""
        return backend.activation("sigmoid", y)


class BinaryCrossEntropy(_Binary):
    """Binary cross-entropy of probabilities y against targets t in 0..1, mean over elements.

    ``-t log(y + delta) - (1 - t) log(1 - y + delta)``; the gradient is
    ``((1 - t) / (1 - y + delta) - t / (y + delta)) / y.size``. What the texts compute behind a
    sigmoid; delta keeps log() from minus infinity. `SigmoidCrossEntropy` of logits is exact.
    """

    kind = "binary_cross_entropy"
    takes = (PROBABILITIES, DISTRIBUTIONS)
    twin = "SigmoidCrossEntropy"
    capturable = True
    options = ("delta",)
    delta: float = number(above=0)

    def __init__(self, delta: float = 1e-7) -> None:
        self.delta = delta

    def _alpha(self) -> float:
        return self.delta


class MeanSquaredError(_Elementwise):
    """``mean((y - t)^2)`` over all elements; the gradient is ``2 (y - t) / y.size``."""

    kind = "mean_squared_error"
    capturable = True


class HalfSquaredError(_Elementwise):
    """The texts' half the sum of squares, ``sum((y - t)^2) / 2`` in each row, mean over the rows.

    So the gradient is ``(y - t) / n``, for a single example just ``y - t``.
    """

    kind = "half_squared_error"
    capturable = True


class HingeLoss(_Elementwise):
    """``mean(max(1 - t y, 0))`` over all elements, for targets t of -1 and 1 (Rosasco et al. 2004).

    The gradient is ``-t / y.size`` where ``t y < 1``, else 0. As in Keras, targets may be 0 and 1,
    of which 0 is taken for -1. Answers are -1 and 1.
    """

    kind = "hinge"
    takes = (ANY, BOUNDED)
    capturable = True
    counts_correct = True

    def prepare(self, backend: Backend, target: Any, shape: tuple[int, ...], dtype: Any) -> Array:
        """Targets of the predictions' shape, each -1 or 1."""
        t = super().prepare(backend, target, shape, dtype)
        if bool(((t == 0) | (t == 1)).all()):
            return 2 * t - 1
        if not bool((abs(t) == 1).all()):
            raise ValueError("targets of HingeLoss must be -1 and 1, or 0 and 1")
        return t

    def answers_per_row(self, outputs: int) -> int:
        """Every output is an answer."""
        return outputs

    def answers(self, y: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """1 where the output is positive, else -1."""
        return np.where(y > 0, 1, -1)


class HuberLoss(_Elementwise):
    """Squared error near the target, absolute error far from it (Huber 1964), mean over elements.

    With ``d = y - t``: ``d^2 / 2`` where ``|d| <= delta``, else ``delta (|d| - delta / 2)``; the
    gradient is d, limited to -delta and delta, over ``y.size``.
    """

    kind = "huber"
    capturable = True
    options = ("delta",)
    delta: float = number(above=0)

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = delta

    def _alpha(self) -> float:
        return self.delta


class PoissonLoss(_Elementwise):
    """``mean(exp(y) - t y)`` over all elements, for counts t and the logarithms y of their rates.

    The gradient is ``(exp(y) - t) / y.size``. It is the negative log-likelihood of Poisson
    regression (McCullagh & Nelder 1989, chapter 6) without what depends on t alone, as PyTorch has
    it. Targets are at least 0. Answers are the rates, ``exp(y)``.
    """

    kind = "poisson"
    takes = (ANY,)
    capturable = True

    def prepare(self, backend: Backend, target: Any, shape: tuple[int, ...], dtype: Any) -> Array:
        """Targets of the predictions' shape, at least 0."""
        t = super().prepare(backend, target, shape, dtype)
        if t.size and not bool((t >= 0).all()):
            raise ValueError("targets of PoissonLoss are counts: they must be at least 0")
        return t

    def answers(self, y: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Rates."""
        with np.errstate(over="ignore"):
            rates: np.ndarray[Any, Any] = np.exp(y)
        return rates


LOSS_CLASSES: dict[str, type[Loss]] = {name: globals()[name] for name in __all__ if name != "Loss"}
"""What a checkpoint may name: those of this file, not a user's."""

_ALIASES: dict[str, type[Loss]] = {
    **dict.fromkeys(("mse", "mse_loss"), MeanSquaredError),
    **dict.fromkeys(("cross_entropy", "cross_entropy_loss"), SoftmaxCrossEntropy),
    **dict.fromkeys(
        ("categorical_crossentropy", "sparse_categorical_crossentropy"), CategoricalCrossEntropy
    ),
    **dict.fromkeys(("bce", "bce_loss", "binary_crossentropy"), BinaryCrossEntropy),
    **dict.fromkeys(("bce_with_logits", "bce_with_logits_loss"), SigmoidCrossEntropy),
    "hinge": HingeLoss,
    "huber": HuberLoss,
    **dict.fromkeys(("poisson", "poisson_nll", "poisson_nll_loss"), PoissonLoss),
}
"""What PyTorch and Keras call them: of Keras's, those of probabilities are such here, too."""
_NAMED = {names.snake(name): cls for name, cls in LOSS_CLASSES.items()}


def get(loss: str | Loss) -> Loss:
    """Return the loss of that name, with its default options; a loss is itself.

    Names are those of the classes, "mean_squared_error" or "MeanSquaredError", and what PyTorch and
    Keras call them: "mse", "cross_entropy" (of logits), "categorical_crossentropy" (of
    probabilities), "bce", "huber". Raises ValueError for an unknown name, TypeError for anything
    else.
    """
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str):
        return names.find(loss, _NAMED | _ALIASES, "loss", _NAMED)()
    raise names.refuse('the loss must be one such as MeanSquaredError() or "mse"', loss, Loss)


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Say which name was meant by one that is not there."""
        raise missing(__name__, name, __all__)
