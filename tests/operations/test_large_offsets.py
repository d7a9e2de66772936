"""Numbers far from zero: what depends on differences alone is as exact as near it.

An operation is given numbers that lie on a grid, and the same moved by an offset so large that the
grid is some ulps wide. All differences are the same numbers then, and so must be the results, which
are held against those of the reference near zero. A compiler that may reorder, a mean or a variance
that loses digits in a large sum: they fail by orders of magnitude.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nnkit.backends import Backend
from nnkit.backends.contract import Norm, Running
from nnkit.kernels.table import LOSSES
from tests.helpers import REFERENCE, assert_close, counters

OFFSETS = {
    np.dtype(np.float32): [2.0**10, -(2.0**17), 2.0**23],
    np.dtype(np.float64): [2.0**10, 2.0**27, -(2.0**40), 2.0**50, 2.0**57],
}
"""From a thousand to ten million, and to 1.4e17."""
SHAPES = [(6, 10), (40, 6), (2, 1100)]
"""Rows and columns that are no powers of two: sums of them are rounded."""
EPS = 1e-5

Results = dict[str, np.ndarray]


class Given:
    """Random arrays of one backend and dtype, some of them moved by the offset."""

    def __init__(self, backend: Backend, dtype: Any, shape: tuple[int, int], grid: float) -> None:
        self.backend, self.dtype, self.shape, self.grid = backend, dtype, shape, grid
        self._rng = np.random.default_rng(7)

    def host(self, mirrored: int | None = None) -> np.ndarray:
        """Numbers on the grid. If `mirrored` along an axis their mean is 0, which none rounds."""
        numbers = self.grid * self._rng.integers(-4, 5, self.shape)
        if mirrored is not None:
            half = numbers.shape[mirrored] // 2
            numbers = np.concatenate([a := numbers.take(range(half), mirrored), -a], mirrored)
        return numbers

    def array(self, host: np.ndarray, offset: float = 0.0) -> Any:
        return self.backend.asarray(host + offset, self.dtype)

    def labels(self) -> Any:
        return self._rng.integers(0, self.shape[1], len(self.host())).astype(np.int32)

    def new(self, *shape: int) -> Any:
        return self.backend.zeros(shape or self.shape, self.dtype)

    def read(self, **arrays: Any) -> Results:
        return {name: np.array(self.backend.to_numpy(a), float) for name, a in arrays.items()}


def softmax(g: Given, offset: float) -> Results:
    return g.read(y=g.backend.softmax(g.array(g.host(), offset)))


def log_softmax(g: Given, offset: float) -> Results:
    return g.read(y=g.backend.log_softmax(g.array(g.host(), offset)))


def softmax_backward(g: Given, offset: float) -> Results:
    """Probabilities 1/2, 1/4, 1/8, 1/8, 0...: the mean gradient is exact."""
    y = np.zeros(g.shape)
    y[:, :4] = 0.5, 0.25, 0.125, 0.125
    return g.read(dx=g.backend.softmax_backward(g.array(g.host(), offset), g.array(y)))


def cross_entropy(rows: bool) -> Callable[[Given, float], Results]:
    def run(g: Given, offset: float) -> Results:
        z, labels, dz = g.array(g.host(), offset), g.labels(), g.new()
        target = np.eye(g.shape[1])[labels]
        t = g.array(target) if rows else g.backend.asarray(labels)
        log = g.backend.zeros((1, 2), np.float64)
        g.backend.softmax_cross_entropy(z, t, dz, log, counters(g.backend))
        return g.read(dz=dz * g.shape[0], log=log)

    return run


def elementwise(kind: str) -> Callable[[Given, float], Results]:
    def run(g: Given, offset: float) -> Results:
        y, t, dy = g.array(g.host(), offset), g.array(g.host(), offset), g.new()
        log = g.backend.zeros((1, 2), np.float64)
        g.backend.elementwise_loss(kind, y, t, dy, log, counters(g.backend), 1.5)
        return g.read(dy=dy * y.size, log=log)

    return run


def batch_norm(g: Given, offset: float) -> Results:
    m, mean, var, y = g.shape[1], g.new(g.shape[1]), g.new(g.shape[1]), g.new()
    norm, running = Norm(g.array(np.ones(m)), g.new(m), EPS), Running(g.new(m), g.new(m), 1.0)
    x = g.array(g.host(0), offset)
    g.backend.batch_norm_forward("identity", x, norm, running, mean, var, y)
    exact = g.read(y=y, mean=mean - offset)
    x = g.array(g.host(), offset)
    g.backend.batch_norm_forward("identity", x, norm, running, mean, var, y)
    return {**exact, **g.read(var=var, running=running.var)}


def batch_norm_backward(g: Given, offset: float) -> Results:
    m, (dgamma, dbeta), dx = g.shape[1], (g.new(g.shape[1]) for _ in range(2)), g.new()
    norm, mean = Norm(g.array(np.ones(m)), g.new(m), EPS), g.array(np.zeros(m), offset)
    dy, var = g.array(g.host(0) / g.grid), g.array(np.full(m, g.grid**2))
    x = g.array(g.host(0), offset)
    gradients = dgamma, dbeta, dx
    g.backend.batch_norm_backward("identity", dy, None, x, norm, mean, var, *gradients, True)
    return g.read(dgamma=dgamma, dbeta=dbeta, dx=dx * g.grid)


def layer_norm(g: Given, offset: float) -> Results:
    (n, m), y = g.shape, g.new()
    norm, mean, inv_std = Norm(g.array(np.ones(m)), g.new(m), EPS), g.new(n), g.new(n)
    g.backend.layer_norm_forward(g.array(g.host(1), offset), norm, mean, inv_std, y)
    exact = g.read(y=y, mean=mean - offset)
    g.backend.layer_norm_forward(g.array(g.host(), offset), norm, mean, inv_std, y)
    return {**exact, **g.read(deviation=g.grid * inv_std)}


def layer_norm_backward(g: Given, offset: float) -> Results:
    (n, m), dx = g.shape, g.new()
    norm, mean = Norm(g.array(np.ones(m)), g.new(m), EPS), g.array(np.zeros(n), offset)
    x, dy, inv_std = g.host(1), g.host(1) / g.grid, g.array(np.full(n, 1 / g.grid))
    dgamma, dbeta, x = g.new(m), g.new(m), g.array(x, offset)
    g.backend.layer_norm_backward(g.array(dy), x, norm, mean, inv_std, dgamma, dbeta, dx)
    return g.read(dgamma=dgamma, dbeta=dbeta, dx=dx * g.grid)


OPERATIONS: dict[str, Callable[[Given, float], Results]] = {
    "softmax": softmax,
    "log_softmax": log_softmax,
    "softmax_backward": softmax_backward,
    "cross_entropy_of_labels": cross_entropy(rows=False),
    "cross_entropy_of_rows": cross_entropy(rows=True),
    **{kind: elementwise(kind) for kind in ("mean_squared_error", "half_squared_error", "huber")},
    "batch_norm": batch_norm,
    "batch_norm_backward": batch_norm_backward,
    "layer_norm": layer_norm,
    "layer_norm_backward": layer_norm_backward,
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_results_do_not_depend_on_an_offset(backend, dtype, name):
    if dtype not in OFFSETS:
        pytest.skip("a half type has no digits to spare")
    for shape in SHAPES:
        for offset in OFFSETS[dtype]:
            grid = max(0.25, 8 * float(np.spacing(abs(dtype.type(offset)))))
            want = OPERATIONS[name](Given(REFERENCE, np.float64, shape, grid), 0.0)
            got = OPERATIONS[name](Given(backend, dtype, shape, grid), offset)
            for key, value in want.items():
                scale = max(1.0, float(abs(value).max()))
                what = f"{name}: {key} of {shape} at {offset:g}"
                assert_close(got[key], value, dtype, ulps=64, scale=scale, what=what)


@pytest.mark.parametrize("kind", ["sigmoid_cross_entropy", "hinge"])
def test_losses_of_large_outputs(backend, dtype, kind):
    """What is not of differences is exact in proportion: zero where it is, else as large."""
    if dtype not in OFFSETS:
        pytest.skip("a half type ends before them")
    sizes = np.abs(OFFSETS[dtype]).astype(np.longdouble)
    y, t = (a.ravel() for a in np.meshgrid(np.concatenate([sizes, -sizes]), [0, 0.25, 1]))
    t = 2 * t - 1 if kind == "hinge" else t
    if kind == "hinge":
        want, slope = np.maximum(1 - t * y, 0), np.where(t * y < 1, -t, 0)
    else:
        want = np.maximum(y, 0) - y * t + np.log1p(np.exp(-abs(y)))
        slope = (1 + np.tanh(y / 2)) / 2 - t
    assert LOSSES[kind].mean_over == "elements"
    for i in range(len(y)):
        one, target, dy = (backend.asarray([[float(v)]], dtype) for v in (y[i], t[i], 0))
        log = backend.zeros((1, 2), np.float64)
        backend.elementwise_loss(kind, one, target, dy, log, counters(backend), 0.0)
        what = f"{kind} of {float(y[i]):g} and {float(t[i]):g}"
        assert_close(backend.to_numpy(log)[0, 0], float(want[i]), dtype, 8, 0, what)
        assert_close(backend.to_numpy(dy)[0, 0], float(slope[i]), dtype, 8, 0, what)
