"""The reference backend: every operation as a plain NumPy formula, float32 or float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nnkit.backends.base import FORWARDS, STEP, UPDATES, Array, Backend
from nnkit.backends.philox import uniform
from nnkit.kernels.table import ACTIVATIONS


def _sigmoid(x: Array, y: Array, alpha: float) -> None:
    """Exact at both ends: exp() is taken of -|x|, so it cannot overflow."""
    e = np.exp(-np.abs(x))
    y[...] = np.where(x >= 0, 1, e) / (1 + e)


def _step(x: Array, y: Array, alpha: float) -> None:
    y[...] = np.where(np.isnan(x), x, x > 0)


FORWARD: dict[str, Callable[[Array, Array, float], object]] = {
    "identity": lambda x, y, alpha: np.copyto(y, x),
    "sigmoid": _sigmoid,
    "tanh": lambda x, y, alpha: np.tanh(x, out=y),
    "relu": lambda x, y, alpha: np.maximum(x, 0, out=y),
    "step": _step,
}
"""y = f(x), written into y."""

GRADIENT: dict[str, Callable[[Array, Array, float], Array]] = {
    "identity": lambda dy, y, alpha: dy,
    "sigmoid": lambda dy, y, alpha: dy * (y * (1 - y)),
    "tanh": lambda dy, y, alpha: dy * (1 - y * y),
    "relu": lambda dy, y, alpha: np.where(y > 0, dy, 0),
}
"""dy * f', in terms of what ``ACTIVATIONS[kind].saved`` names."""


class NumpyBackend(Backend):
    """NumPy on the CPU: complete, readable, the oracle for the other backends."""

    name = "numpy"
    xp = np

    def owns(self, array: object) -> bool:
        return isinstance(array, np.ndarray)

    def asarray(self, array: Any, dtype: Any = None) -> Array:
        if type(array).__module__.partition(".")[0] == "cupy":
            raise TypeError(
                f"a CuPy array was given to the {self.name} backend: "
                "move the model with model.to('cupy'), or the array with array.get()"
            )
        return np.asarray(array, dtype, order="C")

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        return np.asarray(array)

    def matmul(self, a: Array, b: Array, out: Array | None = None) -> Array:
        return np.matmul(a, b, out=out)

    def bias_activation(
        self, kind: str, z: Array, bias: Array | None, y: Array, alpha: float = 0.0
    ) -> None:
        if bias is not None:
            np.add(z, bias, out=z)
        FORWARD[kind](z, y, alpha)

    def bias_activation_backward(
        self,
        kind: str,
        dy: Array,
        saved: Array,
        dz: Array,
        dbias: Array | None,
        alpha: float = 0.0,
    ) -> None:
        self._elementwise_backward(kind, dy, saved, dz, alpha)
        if dbias is not None:
            self.bias_gradient(dz, dbias)

    def _elementwise(self, kind: str, x: Array, y: Array, alpha: float) -> None:
        FORWARD[kind](x, y, alpha)

    def _elementwise_backward(
        self, kind: str, dy: Array, saved: Array, dx: Array, alpha: float
    ) -> None:
        dx[...] = GRADIENT[kind](dy, saved, alpha)

    def bias_gradient(self, dy: Array, dbias: Array) -> None:
        np.sum(dy, axis=0, out=dbias)

    def softmax(self, x: Array, y: Array | None = None) -> Array:
        y = np.empty_like(x) if y is None else y
        with np.errstate(invalid="ignore"):
            np.exp(x - x.max(axis=-1, keepdims=True), out=y)
            y /= y.sum(axis=-1, keepdims=True)
        return y

    def softmax_backward(self, dy: Array, y: Array, dx: Array | None = None) -> Array:
        return np.multiply(y, dy - (dy * y).sum(axis=-1, keepdims=True), out=dx)

    def log_softmax(self, x: Array, y: Array | None = None) -> Array:
        with np.errstate(invalid="ignore"):
            shifted = x - x.max(axis=-1, keepdims=True)
            return np.subtract(shifted, np.log(np.exp(shifted).sum(axis=-1, keepdims=True)), out=y)

    def softmax_cross_entropy(
        self, z: Array, target: Array, dz: Array, log: Array, counters: Array
    ) -> None:
        n = len(z)
        rows = np.arange(n)
        log_p = self.log_softmax(z)
        np.exp(log_p, out=dz)
        if target.ndim == 1:
            loss = -log_p[rows, target].sum(dtype=np.float64)
            labels = target
            dz[rows, target] -= 1
        else:
            with np.errstate(invalid="ignore"):
                loss = -np.where(target == 0, 0, target * log_p).sum(dtype=np.float64)
            labels = target.argmax(axis=1)
            dz -= target
        dz /= n
        log[counters[STEP]] = loss / n, (z.argmax(axis=1) == labels).sum()

    def sigmoid_cross_entropy(
        self, z: Array, target: Array, dz: Array, log: Array, counters: Array
    ) -> None:
        with np.errstate(invalid="ignore"):
            loss = np.maximum(z, 0) - z * target + np.log1p(np.exp(-np.abs(z)))
        _sigmoid(z, dz, 0.0)
        dz -= target
        dz /= z.size
        log[counters[STEP]] = loss.mean(dtype=np.float64), ((z > 0) == (target > 0.5)).sum()

    def mean_squared_error(
        self, y: Array, target: Array, dy: Array, log: Array, counters: Array
    ) -> None:
        np.subtract(y, target, out=dy)
        log[counters[STEP]] = np.square(dy, dtype=np.float64).mean(), 0
        dy *= 2 / y.size

    def dropout(self, x: Array, p: float, key: int, counters: Array, out: Array) -> None:
        keep = uniform(x.size, key, int(counters[FORWARDS])).reshape(x.shape) >= np.float32(p)
        np.multiply(x, x.dtype.type(1 / (1 - p)), out=out)
        out[~keep] = 0

    def sgd(
        self,
        p: Array,
        g: Array,
        velocity: Array | None,
        lr: Array,
        counters: Array,
        momentum: float,
        nesterov: bool,
        weight_decay: float,
    ) -> None:
        rate = p.dtype.type(current(lr, counters))
        if weight_decay:
            g = g + weight_decay * p
        if velocity is not None:
            velocity *= momentum
            velocity += g
            g = g + momentum * velocity if nesterov else velocity
        p -= rate * g

    def adam(
        self,
        p: Array,
        g: Array,
        m: Array,
        v: Array,
        lr: Array,
        counters: Array,
        beta1: float,
        beta2: float,
        eps: float,
        weight_decay: float,
        decoupled: bool,
    ) -> None:
        rate = current(lr, counters)
        t = int(counters[UPDATES]) + 1
        if weight_decay and decoupled:
            p *= 1 - rate * weight_decay
        elif weight_decay:
            g = g + weight_decay * p
        m *= beta1
        m += (1 - beta1) * g
        v *= beta2
        v += (1 - beta2) * (g * g)
        p -= rate / (1 - beta1**t) * m / (np.sqrt(v / (1 - beta2**t)) + eps)

    def gather(
        self, source: Array, order: Array, counters: Array, batch_size: int, out: Array
    ) -> None:
        start = int(counters[STEP]) * batch_size
        rows = source[order[start : start + len(out)]]
        if source.dtype == np.uint8 and out.dtype != np.uint8:
            np.multiply(rows, out.dtype.type(1 / 255), out=out)
        else:
            out[...] = rows

    def advance(self, counters: Array, step: int, updates: int, forwards: int) -> None:
        counters += (step, updates, forwards)


def current(lr: Array, counters: Array) -> float:
    """Learning rate of this step: the schedule's element, or the only one."""
    return float(lr[counters[STEP]] if len(lr) > 1 else lr[0])


assert FORWARD.keys() == ACTIVATIONS.keys()


def create() -> NumpyBackend:
    """Make the backend."""
    return NumpyBackend()
