"""Parameters, and the two flat buffers that hold all values and all gradients of a model."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from nnkit.backends import Array, Backend
from nnkit.initializers import Initializer

ALIGNMENT = 16
"""Each parameter starts at a multiple of this many elements, for 16-byte vector access."""


class Parameter:
    """A trained array: `value` and, after a backward pass, its gradient `grad`, of one shape.

    Both are views into the model's flat buffers. They are None until a model is built around the
    layer. Assigning to `value` copies into the buffer.
    """

    def __init__(self, shape: tuple[int, ...], init: Initializer) -> None:
        self.shape = shape
        self.init = init
        self.frozen = False
        """Whether optimizers leave the value as it is."""
        self.grad: Array = None
        self._value: Array = None
        self._backend: Backend | None = None

    @property
    def value(self) -> Array:
        """The array itself, on the model's backend."""
        return self._value

    @value.setter
    def value(self, new: Any) -> None:
        if self._backend is None:
            raise RuntimeError("put the layer into a Sequential before setting its parameters")
        array = self._backend.asarray(new, self._value.dtype)
        if array.shape != self.shape:
            raise ValueError(f"a value of shape {array.shape} for a parameter of {self.shape}")
        self._value[...] = array

    def to_numpy(self) -> np.ndarray[Any, Any]:
        """Copy the value to a NumPy array; RuntimeError before there is one."""
        if self._backend is None:
            raise RuntimeError("a parameter has no value before its layer is in a Sequential")
        return self._backend.to_numpy(self._value).copy()

    def bind(self, backend: Backend, value: Array, grad: Array) -> None:
        """Make these views the parameter's value and gradient."""
        self._backend, self._value, self.grad = backend, value, grad

    def __repr__(self) -> str:
        return f"Parameter{self.shape}"


class FlatBuffer:
    """All parameters of a model in one array, all gradients in another.

    One optimizer update per step, one array to move and one to reduce. `values` and `grads` are
    1-D; `views(buffer)` splits any array of that length as the parameters are.
    """

    def __init__(self, parameters: Sequence[Parameter], backend: Backend, dtype: Any) -> None:
        self.parameters = list(parameters)
        self.shapes = [p.shape for p in parameters]
        self.offsets: list[int] = []
        size = 0
        for shape in self.shapes:
            self.offsets.append(size)
            size += -(-prod(shape) // ALIGNMENT) * ALIGNMENT
        self.values = backend.zeros(size, dtype)
        self.grads = backend.zeros(size, dtype)
        for p, value, grad in zip(
            parameters, self.views(self.values), self.views(self.grads), strict=True
        ):
            p.bind(backend, value, grad)

    def views(self, buffer: Array) -> list[Array]:
        """Views into a flat array of this length, one per parameter, in its shape."""
        return [
            buffer[start : start + prod(shape)].reshape(shape)
            for start, shape in zip(self.offsets, self.shapes, strict=True)
        ]

    def trained(self) -> list[slice]:
        """Parts of the buffers, in order, whose parameters are not frozen."""
        parts: list[slice] = []
        ends = [*self.offsets[1:], len(self.values)]
        for p, start, end in zip(self.parameters, self.offsets, ends, strict=True):
            if p.frozen:
                continue
            joined = bool(parts) and parts[-1].stop == start
            parts.append(slice(parts.pop().start if joined else start, end))
        return parts


def initialize(parameters: Sequence[Parameter], seed: int) -> None:
    """Draw all initial values in order from one generator, Philox keyed by `seed`."""
    rng = np.random.Generator(np.random.Philox(seed))
    for p in parameters:
        p.value = p.init(rng, p.shape)
