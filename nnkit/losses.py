"""Losses. Each computes its value and its gradient in one fused pass."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from nnkit.backends import Array, Backend, current_backend, get_backend


class Loss:
    """The mean loss of predictions against targets, and its gradient.

    ``loss(prediction, target)`` returns a float and keeps the gradient for `backward`. A trainer
    uses `prepare` once for a whole data set and `run` in every step, which reads nothing back.
    """

    counts_correct: ClassVar[bool] = False
    """Whether `run` also logs how many answers were right."""

    capturable: ClassVar[bool] = False
    """As for layers: whether `run` does nothing but call operations of the backend."""

    _gradient: Array = None

    def __init_subclass__(cls) -> None:
        if "capturable" not in cls.__dict__:
            cls.capturable = False

    def __call__(self, prediction: Any, target: Any) -> float:
        """Mean loss of `prediction` (n, outputs); raises ValueError for targets that do not fit."""
        cupy_array = type(prediction).__module__.partition(".")[0] == "cupy"
        backend = get_backend("cupy") if cupy_array else current_backend()
        y = backend.asarray(prediction)
        if y.dtype not in (np.float32, np.float64):
            y = backend.asarray(y, np.float32)
        if y.ndim != 2:
            raise ValueError(f"predictions must have shape (n, outputs), not {y.shape}")
        t = self.prepare(backend, target, y.shape, y.dtype)
        gradient = backend.empty(y.shape, y.dtype)
        log, counters = backend.zeros((1, 2), np.float64), backend.zeros(3, np.int64)
        self.run(backend, y, t, gradient, log, counters)
        return float(backend.to_numpy(log)[0, 0])

    def backward(self) -> Array:
        """Gradient of the mean loss by the last predictions, of their shape."""
        if self._gradient is None:
            raise RuntimeError("call the loss on predictions and targets before backward()")
        return self._gradient

    def prepare(self, backend: Backend, target: Any, shape: tuple[int, ...], dtype: Any) -> Array:
        """Check targets for predictions of this shape and move them to the backend."""
        raise NotImplementedError

    def run(
        self, backend: Backend, y: Array, t: Array, gradient: Array, log: Array, counters: Array
    ) -> None:
        """Write the gradient, and the loss into this step's row of `log` (see `Backend`)."""
        self._gradient = gradient
        self._compute(backend, y, t, gradient, log, counters)

    def _compute(
        self, backend: Backend, y: Array, t: Array, gradient: Array, log: Array, counters: Array
    ) -> None:
        raise NotImplementedError

    def answers_per_row(self, outputs: int) -> int:
        """How many of the answers that `run` counts there are in a row of that many outputs."""
        return 1

    def answers(self, y: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Turn outputs into answers: what `Trainer.predict` returns."""
        return y

    def probabilities(self, backend: Backend, y: Array) -> Array:
        """Turn outputs into probabilities: what `Trainer.predict_proba` returns."""
        return y

    def config(self) -> dict[str, Any]:
        """Class name and constructor arguments, as JSON can hold them."""
        return {"class": type(self).__name__}

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class SoftmaxCrossEntropy(Loss):
    """Softmax and cross-entropy of logits (n, classes): ``-mean(log softmax(z)[target])``.

    Targets are integer labels (n,) or rows of probabilities (n, classes), one-hot for instance.
    The gradient is ``(softmax(z) - onehot(target)) / n``.
    """

    counts_correct = True
    capturable = True

    def prepare(self, backend: Backend, target: Any, shape: tuple[int, ...], dtype: Any) -> Array:
        """Labels become int32, rows stay real; raises ValueError where they do not fit."""
        t = target if backend.owns(target) else backend.asarray(target)
        n, classes = shape
        if t.shape == (n, classes) and t.ndim == 2:
            t = backend.asarray(t, dtype)
            if n and not bool((abs(t.sum(axis=1) - 1) < 1e-3).all() and (t >= 0).all()):
                raise ValueError("target rows must be probabilities: not negative, with sum 1")
            return t
        if t.shape != (n,):
            raise ValueError(
                f"targets of shape {t.shape} for predictions of shape {shape}: "
                f"integer labels ({n},) or one-hot rows {shape} expected"
            )
        if t.dtype.kind not in "iu":
            raise ValueError(f"labels must be integers, but their dtype is {t.dtype}")
        if n and not (int(t.min()) >= 0 and int(t.max()) < classes):
            raise ValueError(
                f"labels must be 0 to {classes - 1} for {classes} outputs, "
                f"but they reach from {int(t.min())} to {int(t.max())}"
            )
        return backend.asarray(t, np.int32)

    def _compute(
        self, backend: Backend, y: Array, t: Array, gradient: Array, log: Array, counters: Array
    ) -> None:
        backend.softmax_cross_entropy(y, t, gradient, log, counters)

    def answers(self, y: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the class with the largest logit, (n,)."""
        labels: np.ndarray[Any, Any] = y.argmax(axis=1)
        return labels

    def probabilities(self, backend: Backend, y: Array) -> Array:
        """Softmax of the logits."""
        return backend.softmax(y)


class _Elementwise(Loss):
    """A loss of each output against a target of its own."""

    def prepare(self, backend: Backend, target: Any, shape: tuple[int, ...], dtype: Any) -> Array:
        """Targets of the predictions' shape (or (n,) for one output) as reals."""
        t = backend.asarray(target if backend.owns(target) else np.asarray(target), dtype)
        if t.shape == shape[:1] and shape[1] == 1:
            t = t.reshape(shape)
        if t.shape != shape:
            raise ValueError(f"targets of shape {t.shape} for predictions of shape {shape}")
        if t.size and not bool(backend.xp.isfinite(t).all()):
            raise ValueError("targets hold NaN or infinity")
        return t


class SigmoidCrossEntropy(_Elementwise):
    """Sigmoid and binary cross-entropy of logits z against targets t in 0..1, mean over elements.

    ``max(z, 0) - z t + log(1 + exp(-|z|))``; the gradient is ``(sigmoid(z) - t) / z.size``.
    """

    counts_correct = True
    capturable = True

    def prepare(self, backend: Backend, target: Any, shape: tuple[int, ...], dtype: Any) -> Array:
        """Targets of the predictions' shape, each from 0 to 1."""
        t = super().prepare(backend, target, shape, dtype)
        if t.size and not bool((t >= 0).all() and (t <= 1).all()):
            raise ValueError("targets of SigmoidCrossEntropy must be from 0 to 1")
        return t

    def _compute(
        self, backend: Backend, y: Array, t: Array, gradient: Array, log: Array, counters: Array
    ) -> None:
        backend.sigmoid_cross_entropy(y, t, gradient, log, counters)

    def answers_per_row(self, outputs: int) -> int:
        """Every output is an answer."""
        return outputs

    def answers(self, y: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """1 where the logit is positive, else 0."""
        return (y > 0).astype(np.int64)

    def probabilities(self, backend: Backend, y: Array) -> Array:
        """Sigmoid of the logits."""
        return backend.activation("sigmoid", y)


class MeanSquaredError(_Elementwise):
    """``mean((y - t)^2)`` over all elements; the gradient is ``2 (y - t) / y.size``."""

    capturable = True

    def _compute(
        self, backend: Backend, y: Array, t: Array, gradient: Array, log: Array, counters: Array
    ) -> None:
        backend.mean_squared_error(y, t, gradient, log, counters)


LOSSES = {cls.__name__: cls for cls in (SoftmaxCrossEntropy, SigmoidCrossEntropy, MeanSquaredError)}
