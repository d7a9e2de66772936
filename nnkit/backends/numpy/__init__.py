"""The reference backend: every operation as a plain NumPy formula, float32 or float64.

The formulas lie in files named as those of the kernels. Arrays may have any strides.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from nnkit.backends.contract import Array, Backend, Operation, implementations, modules_in
from nnkit.given import arrays
from nnkit.given.masks import is_masked, refuse_masked

FORMULAS = implementations(*modules_in(sys.modules[__name__]))
"""The function of each operation, which takes the operation's arguments."""


class NumpyBackend(Backend):
    """NumPy on the CPU: complete, readable, the oracle for the other backends."""

    name = "numpy"
    xp = np

    def owns(self, array: object) -> bool:
        usual = type(array) is np.ndarray
        return usual or (isinstance(array, np.ndarray) and not is_masked(array))

    def asarray(self, array: Any, dtype: Any = None) -> Array:
        host = arrays.on_host(array, self.name)
        refuse_masked(host)
        return np.asarray(host, dtype, order="C")

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        return np.asarray(array)

    def _carry_out(self, operation: Operation, arguments: tuple[Any, ...]) -> None:
        FORMULAS[operation.name](*arguments)


def create() -> NumpyBackend:
    """Make the backend."""
    return NumpyBackend()
