"""The reference backend: every operation as a plain NumPy formula, float32 or float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nnkit.backends.base import FORWARDS, STEP, UPDATES, Array, Backend
from nnkit.backends.normal import cdf
from nnkit.backends.philox import uniform
from nnkit.kernels.table import ACTIVATIONS, LOSSES, SELU_ALPHA, SELU_SCALE

SELU_LOWEST = SELU_SCALE * SELU_ALPHA
GELU_SLOPE, GELU_CUBE = 2 * math.sqrt(2 / math.pi), 0.044715


def _sigmoid(x: Array, y: Array, alpha: float) -> None:
    """Exact at both ends: exp() is taken of -|x|, so it cannot overflow."""
    e = np.exp(-np.abs(x))
    y[...] = np.where(x >= 0, 1, e) / (1 + e)


def _step(x: Array, y: Array, alpha: float) -> None:
    y[...] = np.where(np.isnan(x), x, x > 0)


def _elu(x: Array, y: Array, alpha: float) -> None:
    y[...] = np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _selu(x: Array, y: Array, alpha: float) -> None:
    y[...] = np.where(x > 0, SELU_SCALE * x, SELU_LOWEST * np.expm1(np.minimum(x, 0)))


def _softplus(x: Array, y: Array, alpha: float) -> None:
    np.add(np.maximum(x, 0), np.log1p(np.exp(-np.abs(x))), out=y)


def _softsign(x: Array, y: Array, alpha: float) -> None:
    x = np.clip(x, -1e30, 1e30)
    np.divide(x, 1 + np.abs(x), out=y)


def _gate(x: Array, v: Array) -> Array:
    """``x sigmoid(v)``, and 0 where sigmoid(v) is 0, for x = -inf too."""
    gate = np.empty_like(x)
    _sigmoid(v, gate, 0.0)
    return np.maximum(x, -1000) * gate


def _gate_slope(dy: Array, x: Array, v: Array, slope: Array | float) -> Array:
    """``dy (s + x slope s (1 - s))`` with ``s = sigmoid(v)``."""
    e = np.exp(-np.abs(v))
    return dy * (np.where(v >= 0, 1, e) / (1 + e) + x * slope * e / np.square(1 + e))


def _gelu_exponent(x: Array) -> Array:
    """``v = 2 sqrt(2 / pi) (x + 0.044715 x^3)``: ``(1 + tanh(v / 2)) / 2 = sigmoid(v)``."""
    return GELU_SLOPE * x * (1 + GELU_CUBE * np.square(x))


def _gelu_tanh(x: Array, y: Array, alpha: float) -> None:
    y[...] = _gate(x, _gelu_exponent(np.clip(x, -40, 40)))


def _gelu_tanh_gradient(dy: Array, x: Array, alpha: float) -> Array:
    x = np.clip(x, -40, 40)
    slope = GELU_SLOPE * (1 + 3 * GELU_CUBE * np.square(x))
    return _gate_slope(dy, x, _gelu_exponent(x), slope)


def _gelu_gradient(dy: Array, x: Array, alpha: float) -> Array:
    x = np.clip(x, -40, 40)
    return dy * (cdf(x) + x * np.exp(-np.square(x) / 2) / math.sqrt(2 * math.pi))


def _exponential(x: Array, y: Array, alpha: float) -> None:
    with np.errstate(over="ignore"):
        np.exp(x, out=y)


FORWARD: dict[str, Callable[[Array, Array, float], object]] = {
    "identity": lambda x, y, alpha: np.copyto(y, x),
    "sigmoid": _sigmoid,
    "tanh": lambda x, y, alpha: np.tanh(x, out=y),
    "relu": lambda x, y, alpha: np.maximum(x, 0, out=y),
    "step": _step,
    "leaky_relu": lambda x, y, alpha: np.copyto(y, np.where(x > 0, x, alpha * x)),
    "elu": _elu,
    "selu": _selu,
    "gelu": lambda x, y, alpha: np.multiply(np.maximum(x, -40), cdf(x), out=y),
    "gelu_tanh": _gelu_tanh,
    "softplus": _softplus,
    "softsign": _softsign,
    "silu": lambda x, y, alpha: np.copyto(y, _gate(x, x)),
    "hard_sigmoid": lambda x, y, alpha: np.divide(np.clip(x + 3, 0, 6), 6, out=y),
    "exponential": _exponential,
}
"""y = f(x), written into y."""

GRADIENT: dict[str, Callable[[Array, Array, float], Array]] = {
    "identity": lambda dy, y, alpha: dy,
    "sigmoid": lambda dy, y, alpha: dy * (y * (1 - y)),
    "tanh": lambda dy, y, alpha: dy * (1 - y * y),
    "relu": lambda dy, y, alpha: np.where(y > 0, dy, 0),
    "leaky_relu": lambda dy, y, alpha: np.where(y > 0, dy, alpha * dy),
    "elu": lambda dy, y, alpha: np.where(y > 0, dy, dy * (y + alpha)),
    "selu": lambda dy, y, alpha: dy * np.where(y > 0, SELU_SCALE, y + SELU_LOWEST),
    "gelu": _gelu_gradient,
    "gelu_tanh": _gelu_tanh_gradient,
    "softplus": lambda dy, y, alpha: dy * -np.expm1(-y),
    "softsign": lambda dy, y, alpha: dy * np.square(1 - np.abs(y)),
    "silu": lambda dy, x, alpha: _gate_slope(dy, np.clip(x, -1000, 1000), x, 1),
    "hard_sigmoid": lambda dy, y, alpha: np.where((y > 0) & (y < 1), dy / 6, 0),
    "exponential": lambda dy, y, alpha: dy * y,
}
"""dy * f', in terms of what ``ACTIVATIONS[kind].saved`` names."""


def _sigmoid_cross_entropy(y: Array, t: Array, alpha: float) -> tuple[Array, Array]:
    gradient = np.empty_like(y)
    _sigmoid(y, gradient, alpha)
    return np.maximum(y, 0) - y * t + np.log1p(np.exp(-np.abs(y))), gradient - t


LOSS: dict[str, Callable[[Array, Array, float], tuple[Array, Array]]] = {
    "sigmoid_cross_entropy": _sigmoid_cross_entropy,
    "binary_cross_entropy": lambda y, t, delta: (
        -t * np.log(y + delta) - (1 - t) * np.log(1 - y + delta),
        (1 - t) / (1 - y + delta) - t / (y + delta),
    ),
    "mean_squared_error": lambda y, t, alpha: (np.square(y - t), 2 * (y - t)),
    "half_squared_error": lambda y, t, alpha: (np.square(y - t) / 2, y - t),
    "hinge": lambda y, t, alpha: (np.maximum(1 - t * y, 0), np.where(t * y < 1, -t, 0)),
    "huber": lambda y, t, a: (
        np.where(abs(y - t) > a, a * (abs(y - t) - a / 2), np.square(y - t) / 2),
        np.clip(y - t, -a, a),
    ),
}
"""Loss and derivative of each element."""


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

    def prelu(self, x: Array, slope: Array, y: Array) -> None:
        y[...] = np.where(x > 0, x, slope * x)

    def prelu_backward(self, dy: Array, x: Array, slope: Array, dx: Array, dslope: Array) -> None:
        products = dy * np.minimum(x, 0)
        dslope[...] = products.sum(axis=0) if slope.shape == x.shape[1:] else products.sum()
        dx[...] = np.where(x > 0, dy, slope * dy)

    def maxout(self, z: Array, bias: Array, y: Array, piece: Array) -> None:
        n, m = y.shape
        pieces = (z + bias).reshape(n, z.shape[1] // m, m)
        np.max(pieces, axis=1, out=y)
        piece[...] = pieces.argmax(axis=1)

    def maxout_backward(self, dy: Array, piece: Array, dz: Array) -> None:
        numbers = np.arange(dz.shape[1] // dy.shape[1])[:, None]
        dz[...] = np.where(piece[:, None] == numbers, dy[:, None], 0).reshape(dz.shape)

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

    def log_softmax_backward(self, dy: Array, y: Array, dx: Array | None = None) -> Array:
        return np.subtract(dy, np.exp(y) * dy.sum(axis=-1, keepdims=True), out=dx)

    def batch_norm_forward(
        self,
        x: Array,
        gamma: Array,
        beta: Array,
        running_mean: Array,
        running_var: Array,
        mean: Array,
        var: Array,
        y: Array,
        eps: float,
        momentum: float,
    ) -> None:
        unbiased = len(x) / (len(x) - 1)
        with np.errstate(invalid="ignore"):
            exact_mean = x.mean(axis=0, dtype=np.float64)
            exact_var = np.square(x - exact_mean).mean(axis=0)
            mean[...], var[...] = exact_mean, exact_var
            running_mean += momentum * (exact_mean - running_mean)
            running_var += momentum * (unbiased * exact_var - running_var)
            self.batch_norm_inference(x, gamma, beta, mean, var, y, eps)

    def batch_norm_inference(
        self, x: Array, gamma: Array, beta: Array, mean: Array, var: Array, y: Array, eps: float
    ) -> None:
        np.multiply(x - mean, gamma / np.sqrt(var + eps), out=y)
        y += beta

    def batch_norm_backward(
        self,
        dy: Array,
        x: Array,
        gamma: Array,
        mean: Array,
        var: Array,
        dgamma: Array,
        dbeta: Array,
        dx: Array,
        eps: float,
        batch_statistics: bool,
    ) -> None:
        inverse = 1 / np.sqrt(var + eps)
        xhat = (x - mean) * inverse
        np.sum(dy, axis=0, out=dbeta)
        np.sum(dy * xhat, axis=0, out=dgamma)
        rest = (dbeta + xhat * dgamma) / len(x) if batch_statistics else 0
        np.multiply(dy - rest, gamma * inverse, out=dx)

    def layer_norm_forward(
        self,
        x: Array,
        gamma: Array,
        beta: Array,
        mean: Array,
        inv_std: Array,
        y: Array,
        eps: float,
    ) -> None:
        with np.errstate(invalid="ignore"):
            exact = x.mean(axis=1, dtype=np.float64, keepdims=True)
            mean[...] = exact[:, 0]
            inv_std[...] = 1 / np.sqrt(np.square(x - exact).mean(axis=1) + eps)
            np.multiply((x - mean[:, None]) * inv_std[:, None], gamma, out=y)
            y += beta

    def layer_norm_backward(
        self,
        dy: Array,
        x: Array,
        gamma: Array,
        mean: Array,
        inv_std: Array,
        dgamma: Array,
        dbeta: Array,
        dx: Array,
    ) -> None:
        inverse = inv_std[:, None]
        xhat = (x - mean[:, None]) * inverse
        np.sum(dy, axis=0, out=dbeta)
        np.sum(dy * xhat, axis=0, out=dgamma)
        g = dy * gamma
        rest = g.mean(axis=1, keepdims=True) + xhat * (g * xhat).mean(axis=1, keepdims=True)
        np.multiply(g - rest, inverse, out=dx)

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

    def categorical_cross_entropy(
        self, y: Array, target: Array, dy: Array, log: Array, counters: Array, delta: float
    ) -> None:
        loss = -np.sum(target * np.log(y + delta), dtype=np.float64)
        np.divide(-target, (y + delta) * len(y), out=dy)
        correct = (y.argmax(axis=1) == target.argmax(axis=1)).sum()
        log[counters[STEP]] = loss / len(y), correct

    def elementwise_loss(
        self,
        kind: str,
        y: Array,
        target: Array,
        dy: Array,
        log: Array,
        counters: Array,
        alpha: float = 0.0,
    ) -> None:
        about = LOSSES[kind]
        count = y.size if about.mean_over == "elements" else len(y)
        with np.errstate(invalid="ignore", over="ignore"):
            loss, gradient = LOSS[kind](y, target, alpha)
        np.divide(gradient, count, out=dy)
        right = 0
        if about.threshold is not None:
            right = ((y > about.threshold) == (target > 0.5)).sum()
        log[counters[STEP]] = loss.sum(dtype=np.float64) / count, right

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
        l1: float = 0.0,
        master: Array | None = None,
    ) -> None:
        x = exact(p, master)
        rate = x.dtype.type(current(lr, counters))
        g = penalized(g, x, weight_decay, l1)
        if velocity is not None:
            velocity *= momentum
            velocity += g
            g = g + momentum * velocity if nesterov else velocity
        x -= rate * g
        settle(p, x)

    def adaptive(
        self,
        p: Array,
        g: Array,
        squares: Array,
        lr: Array,
        counters: Array,
        keep: float,
        add: float,
        eps: float,
        weight_decay: float,
        l1: float = 0.0,
        master: Array | None = None,
    ) -> None:
        x = exact(p, master)
        g = penalized(g, x, weight_decay, l1)
        squares *= keep
        squares += add * (g * g)
        x -= current(lr, counters) * g / (np.sqrt(squares) + eps)
        settle(p, x)

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
        l1: float = 0.0,
        master: Array | None = None,
    ) -> None:
        rate = current(lr, counters)
        t = int(counters[UPDATES]) + 1
        x = exact(p, master)
        g = penalized(g, x, 0.0 if decoupled else weight_decay, l1)
        if weight_decay and decoupled:
            x *= 1 - rate * weight_decay
        m *= beta1
        m += (1 - beta1) * g
        v *= beta2
        v += (1 - beta2) * (g * g)
        x -= rate / (1 - beta1**t) * m / (np.sqrt(v / (1 - beta2**t)) + eps)
        settle(p, x)

    def accumulate(self, g: Array, total: Array, weight: float, start: bool) -> None:
        if start:
            np.multiply(g, weight, out=total)
        else:
            total += weight * g

    def sum_of_squares(self, x: Array, total: Array, start: bool) -> None:
        square = np.square(x, dtype=np.float64).sum()
        total[0] = square if start else total[0] + square

    def clip(self, x: Array, total: Array, limit: float) -> None:
        factor = limit / (np.sqrt(total[0]) + 1e-6)
        if factor < 1:
            x *= x.dtype.type(factor)

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


def exact(p: Array, master: Array | None) -> Array:
    """Return what an update changes: p, or its master, which takes over what p has been set to."""
    if master is None:
        return p
    np.copyto(master, p, where=master.astype(p.dtype) != p)
    return master


def settle(p: Array, x: Array) -> None:
    """Round the parameters to p, unless p is what was changed."""
    if x is not p:
        p[...] = x


def penalized(g: Array, p: Array, weight_decay: float, l1: float) -> Array:
    """Gradient with that of the penalties ``weight_decay p^2 / 2`` and ``l1 |p|``."""
    g = g.astype(p.dtype, copy=False)
    if weight_decay:
        g = g + weight_decay * p
    return g + l1 * np.sign(p) if l1 else g


assert FORWARD.keys() == ACTIVATIONS.keys()
assert LOSS.keys() == LOSSES.keys()


def create() -> NumpyBackend:
    """Make the backend."""
    return NumpyBackend()
