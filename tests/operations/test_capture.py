"""A captured step does what it does uncaptured, with whatever differs between steps.

That each operation can be captured: test_contract.py.
"""

from __future__ import annotations

import numpy as np
import pytest

from nnkit.backends import Backend
from nnkit.backends.contract import CaptureError, Update
from nnkit.dtypes import arithmetic
from tests.helpers import assert_close, counters, random_array


def test_capture(backend, dtype, rng):
    """Replaying the step of a small network is like carrying it out, again and again.

    Whatever differs between steps comes from device memory: batch, mask, learning rate, time.
    """
    replayed, plain = (_TinyRun(backend, dtype, np.random.default_rng(7)) for _ in range(2))
    replayed.step()
    replay = backend.capture(replayed.step)
    assert backend.to_numpy(replayed.counters).tolist() == [1, 1, 1], "capturing is not doing"
    for times in (2, 0, 1):
        replay(times)
    for _ in range(4):
        plain.step()
    for name, value in replayed.results().items():
        assert_close(value, plain.results()[name], dtype, 64, what=name)
    assert len(set(replayed.results()["log"][:, 0])) == 4, "each step has its own loss"

    for run in (replayed, plain):
        run.counters[...] = backend.asarray(np.zeros(3, np.int64))
        run.lr[...] = backend.asarray(np.full(4, 0.5))
    replay(2)
    plain.step()
    plain.step()
    for name, value in replayed.results().items():
        assert_close(value, plain.results()[name], dtype, 64, what=name)


class _TinyRun:
    """A network with dropout in mini-batches, as operations on arrays made beforehand."""

    def __init__(self, backend: Backend, dtype: np.dtype, rng: np.random.Generator) -> None:
        self.backend = backend
        self.images = backend.asarray(rng.integers(0, 256, (12, 5)).astype(np.uint8))
        self.labels = backend.asarray(rng.integers(0, 4, 12).astype(np.int32))
        self.order = backend.asarray(rng.permutation(12).astype(np.int64))
        self.p = backend.asarray(random_array(rng, 24, dtype))
        self.g = backend.zeros(24, dtype)
        real = arithmetic(dtype)
        self.m, self.v, master = (backend.zeros(24, real) for _ in range(3))
        self.master = None if real == dtype else master
        self.x, self.dropped = backend.empty((3, 5), dtype), backend.empty((3, 5), dtype)
        self.t = backend.empty(3, np.int32)
        self.z, self.dz = backend.empty((3, 4), dtype), backend.empty((3, 4), dtype)
        self.lr = backend.asarray(np.array([0.3, 0.2, 0.1, 0.05]))
        self.log = backend.zeros((4, 2), np.float64)
        self.counters = counters(backend)

    def step(self) -> None:
        b, at = self.backend, self.counters
        weight, bias = self.p[:20].reshape(5, 4), self.p[20:]
        dweight, dbias = self.g[:20].reshape(5, 4), self.g[20:]
        b.gather(self.images, self.order, at, 3, self.x)
        b.gather(self.labels, self.order, at, 3, self.t)
        b.dropout(self.x, 0.25, 11, at, self.dropped)
        b.linear_forward("tanh", self.dropped, weight, bias, self.z, self.z)
        b.softmax_cross_entropy(self.z, self.t, self.dz, self.log, at)
        b.linear_backward(
            *("tanh", self.dz, self.dropped, weight, self.z, self.dz, dweight, dbias, None)
        )
        update = Update(self.lr, at, master=self.master)
        b.adam(self.p, self.g, self.m, self.v, update, 0.9, 0.99, 1e-4, False)
        b.advance(at, 1, 1, 1)

    def results(self) -> dict[str, np.ndarray]:
        names = ("p", "m", "v", "log", "counters")
        return {name: np.array(self.backend.to_numpy(getattr(self, name))) for name in names}


def test_capture_of_containers(backend, dtype, rng):
    """What joins branches is captured, on arrays of three axes too."""
    shape = (2, 3, 5)
    arrays_ = [backend.asarray(random_array(rng, shape, dtype)) for _ in range(2)]
    total, wide, part = (backend.zeros((*shape[:2], m), dtype) for m in (5, 10, 5))

    def step() -> None:
        backend.add(*arrays_, total)
        backend.put_columns(arrays_[0], 0, wide)
        backend.put_columns(total, 5, wide)
        backend.take_columns(wide, 3, part)
        backend.add(arrays_[1], part, arrays_[1])

    def results() -> list[bytes]:
        return [backend.to_numpy(x).tobytes() for x in (*arrays_, total, wide, part)]

    before = [np.array(backend.to_numpy(x)) for x in arrays_]
    step()
    replay = backend.capture(step)
    replay(2)
    captured = results()
    for array, host in zip(arrays_, before, strict=True):
        array[...] = backend.asarray(host)
    for _ in range(3):
        step()
    assert results() == captured


def test_call(backend, dtype):
    """A call of the host is in its place in every repetition, or cannot be captured."""
    x, seen = backend.asarray(np.ones(3, dtype)), []

    def step() -> None:
        backend.add(x, x, x)
        backend.call(lambda: seen.append(float(backend.to_numpy(x)[0])))
        backend.add(x, x, x)

    step()
    if backend.name == "cupy":
        with pytest.raises(CaptureError, match="a call of the host cannot be in a CUDA graph"):
            backend.capture(step)
        return
    replay = backend.capture(step)
    assert seen == [2], "capturing is not doing"
    replay(2)
    assert (seen, float(x[0])) == ([2, 8, 32], 64)


def test_rehearse(backend, dtype):
    x, y = backend.zeros((3, 4), dtype), backend.zeros((3, 4), dtype)
    assert backend.rehearse(lambda: backend.activation("relu", x, y)) is y


def test_rehearse_what_needs_its_numbers(backend, dtype):
    """What has failed without them is done with them."""
    x, y = backend.zeros((3, 4), dtype) + 1, backend.zeros((3, 4), dtype)

    def work():
        backend.activation("relu", x, y)
        return 1 // int(backend.to_numpy(y)[0, 0])

    assert backend.rehearse(work) == 1


def test_prepare(backend, dtype):
    """Nothing is carried out, and what a step raises it will raise again."""
    x, y = backend.zeros((3, 4), dtype) + 1, backend.zeros((3, 4), dtype)
    backend.prepare(lambda: backend.activation("relu", x, y))
    assert (backend.to_numpy(y) == 0).all()
    backend.prepare(lambda: backend.activation("no such kind", x, y))
