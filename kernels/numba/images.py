"""The axes of images."""

from typing import Any

from nnkit.kernels.numba.codegen.copies import turn
from nnkit.kernels.numba.codegen.jit import inline, shared
from nnkit.kernels.numba.codegen.processor import REGISTER_BYTES
from nnkit.kernels.numba.runtime.team import my_range

GRAIN = 1 << 14
"""Elements worth a thread."""


@inline
def _turned(x: Any, at: int, a: int, b: int, out: Any, lanes: int) -> None:
    """Transpose the matrix (a, b) that begins there, by squares; the last ones overlap others."""
    for i in range(0, a, lanes):
        top = min(i, a - lanes)
        for j in range(0, b, lanes):
            left = min(j, b - lanes)
            turn(x, at + top * b + left, b, lanes, lanes, out, at + left * a + top, a)


@inline
def _copied(x: Any, at: int, a: int, b: int, out: Any) -> None:
    """Do the same element by element, along the longer side of a narrow matrix."""
    if a < b:
        for j in range(b):
            for i in range(a):
                out[at + j * a + i] = x[at + i * b + j]
    else:
        for i in range(a):
            for j in range(b):
                out[at + j * a + i] = x[at + i * b + j]


@shared(GRAIN)
def transpose(x: Any, out: Any, team: Any) -> None:
    """``out[i] = x[i].T`` for x (n, a, b)."""
    n, a, b = x.shape
    lanes = REGISTER_BYTES // x.itemsize
    first, last = my_range(n, team)
    for i in range(first, last):
        if min(a, b) >= lanes:
            _turned(x.reshape(-1), i * a * b, a, b, out.reshape(-1), lanes)
        else:
            _copied(x.reshape(-1), i * a * b, a, b, out.reshape(-1))
