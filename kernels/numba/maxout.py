"""Maxout: the largest of the matrices that lie side by side in one."""

from typing import Any

import numpy as np

from nnkit.kernels.numba.codegen.jit import inline, shared
from nnkit.kernels.numba.runtime.team import my_range

GRAIN = 1 << 16
"""Elements worth a thread."""


@inline
def _first(z: Any, bias: Any, y: Any, piece: Any) -> None:
    for j in range(y.size):
        y[j] = z[j] + bias[j]
        piece[j] = 0


@inline
def _further(k: Any, z: Any, bias: Any, y: Any, piece: Any) -> None:
    for j in range(y.size):
        value = z[j] + bias[j]
        larger = (value > y[j]) | (np.isnan(value) & ~np.isnan(y[j]))
        y[j] = value if larger else y[j]
        piece[j] = k if larger else piece[j]


@shared(GRAIN)
def maxout(z: Any, bias: Any, y: Any, piece: Any, team: Any) -> None:
    """``y = max over k of z_k + bias_k``, and k, for (n, k m), (k m,) and (n, m)."""
    n, m = y.shape
    first, last = my_range(n, team)
    for i in range(first, last):
        _first(z[i, :m], bias[:m], y[i], piece[i])
        for k in range(1, z.shape[1] // m):
            part = slice(k * m, (k + 1) * m)
            _further(np.int32(k), z[i, part], bias[part], y[i], piece[i])


@inline
def _chosen(k: Any, dy: Any, piece: Any, dz: Any) -> None:
    for j in range(dy.size):
        dz[j] = dy[j] if piece[j] == k else dy.dtype.type(0)


@shared(GRAIN)
def maxout_backward(dy: Any, piece: Any, dz: Any, team: Any) -> None:
    """``dz_k = dy`` where piece is k, else 0, for (n, m) and (n, k m)."""
    n, m = dy.shape
    first, last = my_range(n, team)
    for i in range(first, last):
        for k in range(dz.shape[1] // m):
            _chosen(np.int32(k), dy[i], piece[i], dz[i, k * m : (k + 1) * m])
