"""Parameters, and the memory they lie in: runs of contiguous values and gradients.

A model puts its parameters one after the other into one piece of memory. So a part of a model, an
encoder inside an autoencoder for instance, is a part of that memory, and a model made of parts of
others is a few runs: whoever trains it changes the one truth that all of them compute with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from nnkit import initializers
from nnkit.backends import Array, Backend
from nnkit.given.options import integer
from nnkit.initializers import Init

ALIGNMENT = 16
"""Each parameter starts at a multiple of this many elements, for 16-byte vector access."""

_SIZE = integer(least=0)


_room_left: ContextVar[int | None] = ContextVar("room_left", default=None)


@contextmanager
def at_most(numbers: int) -> Iterator[None]:
    """Inside a ``with`` block parameters of no more numbers than these, together, can be made.

    For layers from a file, which may ask for more memory than there is: ValueError comes first.
    """
    token = _room_left.set(numbers)
    try:
        yield
    finally:
        _room_left.reset(token)


class Memory:
    """Two flat arrays of one length: the values of some parameters, and their gradients."""

    def __init__(self, backend: Backend, size: int, dtype: Any) -> None:
        self.backend = backend
        self.values = backend.zeros(size, dtype)
        self.grads = backend.zeros(size, dtype)


class Parameter:
    """A trained array: `value` and, after a backward pass, its gradient `grad`, of one shape.

    Both are views of a `Memory`. They are None until a model is built around the layer. Assigning
    to `value` copies into the memory.

    Parameters
    ----------
    shape
        Of the array: a tuple of integers, or a single one.
    init
        What it starts with: a name of `nnkit.initializers` such as "ones", a function of
        (generator, shape), or an array of that shape.
    """

    def __init__(self, shape: int | tuple[int, ...], init: Init) -> None:
        sizes = shape if isinstance(shape, tuple | list) else (shape,)
        self.shape: tuple[int, ...] = tuple(_SIZE.checked("Parameter: shape", n) for n in sizes)
        left = _room_left.get()
        if left is not None:
            if self.size > left:
                raise ValueError(
                    f"a parameter of shape {self.shape} is more than the file's tensors hold"
                )
            _room_left.set(left - self.size)
        self.init = initializers.get(init)
        self.frozen = False
        """Whether optimizers leave the value as it is."""
        self.grad: Array = None
        self.memory: Memory | None = None
        self.start = 0
        """Where in the memory it begins."""
        self._value: Array = None

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return prod(self.shape)

    @property
    def room(self) -> int:
        """How many elements of memory it takes, up to where the next one may begin."""
        return -(-self.size // ALIGNMENT) * ALIGNMENT

    @property
    def value(self) -> np.ndarray[Any, Any]:
        """The array itself, on the model's backend: with CuPy one of CuPy's, alike in use."""
        array: np.ndarray[Any, Any] = self._value
        return array

    @value.setter
    def value(self, new: Any) -> None:
        if self.memory is None:
            raise RuntimeError("put the layer into a Sequential before setting its parameters")
        array = self.memory.backend.asarray(new, self._value.dtype)
        if array.shape != self.shape:
            raise ValueError(
                f"a value of shape {array.shape} for a parameter of {self.shape}"
                f"{initializers.turned(array.shape, self.shape)}"
            )
        self._value[...] = array

    def to_numpy(self) -> np.ndarray[Any, Any]:
        """Copy the value to a NumPy array; RuntimeError before there is one."""
        if self.memory is None:
            raise RuntimeError("a parameter has no value before its layer is in a Sequential")
        return self.memory.backend.to_numpy(self._value).copy()

    def move(self, memory: Memory, start: int) -> None:
        """Lie at this place of a memory from now on, with the value and gradient there were."""
        old, before = self.memory, (self._value, self.grad)
        self.memory, self.start = memory, start
        place = slice(start, start + self.size)
        self._value = memory.values[place].reshape(self.shape)
        self.grad = memory.grads[place].reshape(self.shape)
        if old is not None:
            for array, there in zip((self._value, self.grad), before, strict=True):
                array[...] = memory.backend.asarray(old.backend.to_numpy(there), array.dtype)

    def forget(self) -> None:
        """Have no value, as before it was in a model."""
        self.memory = self.grad = self._value = None

    def __getstate__(self) -> dict[str, Any]:
        """Say what a copy has: the value, not the memory, which others lie in too.

        How it was first drawn is of no use to one that has a value, and may be a function that
        cannot be pickled.
        """
        state = {k: v for k, v in vars(self).items() if k not in ("grad", "memory", "_value")}
        if self.memory is not None:
            state |= {"init": None, "backend": self.memory.backend, "value": self.to_numpy()}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        backend, value = state.pop("backend", None), state.pop("value", None)
        vars(self).update(state, grad=None, memory=None, _value=None)
        if backend is not None:
            self.move(Memory(backend, self.room, value.dtype), 0)
            self.value = value

    def __repr__(self) -> str:
        return f"Parameter{self.shape}"


@dataclass(frozen=True)
class Run:
    """Parameters that lie one after the other in one memory; some of a list of parameters."""

    memory: Memory
    start: int
    stop: int
    """Where in the memory the run begins and ends."""
    offset: int = 0
    """Where it begins in a buffer that has room for all parameters of the list, in order."""

    @property
    def values(self) -> Array:
        """The values, 1-D."""
        return self.memory.values[self.start : self.stop]

    @property
    def grads(self) -> Array:
        """The gradients, 1-D."""
        return self.memory.grads[self.start : self.stop]

    def of(self, buffer: Array) -> Array:
        """The part of a flat buffer for all parameters of the list that belongs to this run."""
        return buffer[self.offset : self.offset + self.stop - self.start]


def find_runs(parameters: Sequence[Parameter], trained: bool = False) -> list[Run]:
    """Join neighbours in memory to runs, in the order of the list.

    All must have a value. If `trained`, the frozen ones are left out.
    """
    runs: list[Run] = []
    offset = 0
    for p in parameters:
        assert p.memory is not None
        last = runs[-1] if runs else None
        if not (trained and p.frozen):
            end = p.start + p.room
            if (
                last is not None
                and (last.memory, last.stop) == (p.memory, p.start)
                and (last.offset + last.stop - last.start == offset)
            ):
                runs[-1] = Run(last.memory, last.start, end, last.offset)
            else:
                runs.append(Run(p.memory, p.start, end, offset))
        offset += p.room
    return runs


def total_room(parameters: Sequence[Parameter]) -> int:
    """Length of a flat buffer for all parameters."""
    return sum(p.room for p in parameters)


def views(parameters: Sequence[Parameter], buffer: Array) -> list[Array]:
    """Views into such a buffer, one per parameter, in its shape."""
    starts = np.cumsum([0, *(p.room for p in parameters)]).tolist()
    return [
        buffer[start : start + p.size].reshape(p.shape)
        for start, p in zip(starts, parameters, strict=False)
    ]


def bring_together(parameters: Sequence[Parameter], backend: Backend, dtype: Any) -> None:
    """Have the parameters lie in one run, in order, on a backend and in a dtype.

    Those that do so already stay where they are. Values are kept; new parameters get zeros.
    """
    there = all(
        p.memory is not None and p.memory.backend is backend and p.value.dtype == dtype
        for p in parameters
    )
    if there and len(find_runs(parameters)) <= 1:
        return
    memory = Memory(backend, total_room(parameters), dtype)
    start = 0
    for p in parameters:
        p.move(memory, start)
        start += p.room


def initialize(parameters: Sequence[Parameter], seed: int) -> None:
    """Draw all initial values in order from one generator, Philox keyed by `seed`.

    Where one cannot be drawn, none of the parameters has a value.
    """
    rng = np.random.Generator(np.random.Philox(seed))
    try:
        for p in parameters:
            p.value = p.init(rng, p.shape)
    except BaseException:
        for p in parameters:
            p.forget()
        raise
