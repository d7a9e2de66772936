"""Memory for what an operation makes on the way: for so many images at a time, and no more."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from nnkit.backends.contract import Array, Out
from nnkit.backends.cupy.activations import bias_gradient
from nnkit.backends.cupy.grids import power_of_two
from nnkit.backends.cupy.launching import Launcher

if TYPE_CHECKING:
    from nnkit.backends.cupy.backend import CupyBackend

MOST_BYTES = 256 << 20
"""What an operation makes of some images at a time, unless it is more for a single one."""
ALIGNMENT = 256
"""Bytes of which each array's place is a multiple: more does not help cuBLASLt."""


def parts(n: int, bytes_each: int) -> list[slice]:
    """Divide n images into parts of about one size, of which each has room in `MOST_BYTES`."""
    most = max(1, MOST_BYTES // max(1, bytes_each))
    size = -(-n // -(-n // most))
    return [slice(first, min(first + size, n)) for first in range(0, n, size)]


def arrays(launcher: Launcher, dtype: np.dtype[Any], *shapes: tuple[int, ...]) -> list[Array]:
    """Return arrays that are this operation's own until the next one.

    They are parts of memory whose size is a power of two, so that the layers of a network share it,
    and which is kept: captured steps hold its address.
    """
    unit = ALIGNMENT // dtype.itemsize
    ends = np.cumsum([-(-prod(shape) // unit) * unit for shape in shapes]).tolist()
    memory = launcher.scratch(power_of_two(ends[-1]), dtype, "workspace")
    begins = (0, *ends[:-1])
    pairs = zip(begins, shapes, strict=True)
    return [memory[begin : begin + prod(shape)].reshape(shape) for begin, shape in pairs]


class Sum:
    """A gradient, if it is wanted, that is the sum of those of several parts.

    `memory` has a place for each, or none where there is one part only. The parts are added up at
    the end, in their order and in the type of arithmetic.
    """

    def __init__(self, out: Out | None, memory: Array) -> None:
        self.out, self.memory = out, memory

    def part(self, number: int) -> Out | None:
        """Where the gradient of a part goes."""
        return self.memory[number] if self.out is not None and len(self.memory) else self.out

    def finish(self, backend: CupyBackend) -> None:
        """Add the parts up."""
        if self.out is not None and len(self.memory):
            rows = self.memory.reshape(len(self.memory), -1)
            bias_gradient(backend, rows, self.out.reshape(-1))
