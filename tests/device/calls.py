"""Calls of NumPy functions whose arguments may not have been computed yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


class Call:
    """A function and its arguments, NumPy arrays that are read when it is called."""

    def __init__(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self.function, self.args, self.kwargs = function, args, kwargs

    def __call__(self, **more: Any) -> Any:
        with np.errstate(all="ignore"):
            return self.function(*self.args, **self.kwargs, **more)

    @property
    def reads_arrays(self) -> bool:
        """Whether the result depends on more than what is known now."""
        return _holds_array([*self.args, *self.kwargs.values()])

    def on_zeros(self, **more: Any) -> Any:
        """Call it with zeros in place of arrays: the result has the right shape, dtype and layout.

        Nothing is read of the arrays and nothing written into them.
        """
        kwargs = {name: _zeros(value) for name, value in self.kwargs.items()}
        return Call(self.function, _zeros(self.args), kwargs)(**more)


def _holds_array(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_holds_array, value))
    return isinstance(value, np.ndarray)


def _zeros(value: Any) -> Any:
    """Return arguments with zeros in place of arrays, of the same strides."""
    if isinstance(value, tuple | list):
        return type(value)(map(_zeros, value))
    if not isinstance(value, np.ndarray):
        return value
    if not value.size:
        return np.zeros_like(value)
    steps = [(n - 1) * stride for n, stride in zip(value.shape, value.strides, strict=True)]
    below, above = (sum(f(step, 0) for step in steps) for f in (min, max))
    memory = np.zeros(above - below + value.itemsize, np.uint8)
    return np.ndarray(value.shape, value.dtype, memory, -below, value.strides)
