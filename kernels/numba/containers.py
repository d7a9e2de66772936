"""What joins the branches of a network, and parts their gradients."""

from typing import Any

from nnkit.kernels.numba.codegen.jit import inline, shared
from nnkit.kernels.numba.runtime.team import my_chunk, my_range
from nnkit.kernels.numba.tiles import same

GRAIN = 1 << 15
"""Elements worth a thread."""


@inline
def _add(a: Any, b: Any, out: Any) -> None:
    for i in range(out.size):
        out[i] = a[i] + b[i]


@inline
def _add_to(x: Any, out: Any) -> None:
    for i in range(out.size):
        out[i] += x[i]


@shared(GRAIN)
def add(a: Any, b: Any, out: Any, team: Any) -> None:
    """``out = a + b`` of flat arrays.

    In place it is another loop, because the vector loop is left where output and input overlap.
    """
    i, j = my_chunk(out.size, team)
    if same(a, out):
        _add_to(b[i:j], out[i:j])
    elif same(b, out):
        _add_to(a[i:j], out[i:j])
    else:
        _add(a[i:j], b[i:j], out[i:j])


@inline
def _copy(x: Any, out: Any) -> None:
    for j in range(out.size):
        out[j] = x[j]


@shared(GRAIN)
def put_columns(x: Any, first: int, out: Any, team: Any) -> None:
    """``out[:, first : first + k] = x`` for (n, k) and (n, m)."""
    last = first + x.shape[1]
    i, j = my_range(len(x), team)
    for row in range(i, j):
        _copy(x[row], out[row, first:last])


@shared(GRAIN)
def take_columns(x: Any, first: int, out: Any, team: Any) -> None:
    """``out = x[:, first : first + k]`` for (n, m) and (n, k)."""
    last = first + out.shape[1]
    i, j = my_range(len(out), team)
    for row in range(i, j):
        _copy(x[row, first:last], out[row])
