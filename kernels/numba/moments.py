"""Mean and variance of columns: what each task finds in some of the rows, and all of them merged.

Differences from a number near the mean, that of a task's first rows, are added up in float64, in
one pass. So the squares lose no digits where the mean is far from zero; and where the first rows
are unlike the others, no more than a sum over all rows as long as those may lose: their mean is
within ``sqrt(rows / first rows)`` deviations (Chan, Golub & LeVeque 1983).
"""

from typing import Any

import numpy as np

from nnkit.kernels.numba.codegen.jit import inline
from nnkit.kernels.numba.runtime.tasks import share
from nnkit.kernels.numba.tiles import fold_tile, repeat_row, tile_width


@inline
def _add(x: Any, origin: Any, total: Any, squares: Any) -> None:
    for i in range(x.size):
        delta = x[i] - origin[i]
        total[i] += delta
        squares[i] += delta * delta


@inline
def _add_four(a: Any, b: Any, c: Any, d: Any, origin: Any, total: Any, squares: Any) -> None:
    """Do as `_add` for four tiles: what is added to is loaded and stored once."""
    for i in range(origin.size):
        p, q, r, s = a[i] - origin[i], b[i] - origin[i], c[i] - origin[i], d[i] - origin[i]
        total[i] += (p + q) + (r + s)
        squares[i] += (p * p + q * q) + (r * r + s * s)


@inline
def _first_mean(x: Any, rows: int, tile: Any, mean: Any) -> None:
    """Mean of the first rows of flat x, as many as a tile has at most."""
    tile[:] = 0
    for i in range(rows * mean.size):
        tile[i] = x[i]
    fold_tile(tile, mean)
    for j in range(mean.size):
        mean[j] /= rows


@inline
def column_moments(x: Any, origin: Any, rest: Any, squares: Any) -> None:
    """Moments of the columns of some rows x (n, m), n of at least 1, as float64 (m,).

    The mean is ``origin + rest``, and `squares` is the sum of squared deviations from it.
    """
    n, m = x.shape
    x = x.reshape(x.size)
    width = tile_width(x.size, m)
    near, total, product = np.empty(width), np.empty(width), np.zeros(width)
    _first_mean(x, min(n, width // m), total, origin)
    repeat_row(origin, near)
    total[:] = 0
    fours = x.size - x.size % (4 * width)
    for i in range(0, fours, 4 * width):
        a, b, c, d = i + width, i + 2 * width, i + 3 * width, i + 4 * width
        _add_four(x[i:a], x[a:b], x[b:c], x[c:d], near, total, product)
    for i in range(fours, x.size, width):
        _add(x[i : min(i + width, x.size)], near, total, product)
    fold_tile(total, rest)
    fold_tile(product, squares)
    for j in range(m):
        rest[j] /= n
        squares[j] -= n * rest[j] * rest[j]


@inline
def merge_moments(sums: Any, n: int, first: int, mean: Any, var: Any) -> None:
    """Mean and variance, float64 (k,), of k columns from `first` on, over all n rows.

    `sums` (3, tasks, m) has what `column_moments` found in each task's share of them.
    """
    last, tasks = first + mean.size, sums.shape[1]
    origin, rest, squares = sums[0, :, first:last], sums[1, :, first:last], sums[2, :, first:last]
    mean[:], var[:] = 0, 0
    for t in range(tasks):
        count = share(n, tasks, t + 1) - share(n, tasks, t)
        for j in range(mean.size):
            rest[t, j] += origin[t, j] - origin[0, j]
            mean[j] += count * rest[t, j]
    for j in range(mean.size):
        mean[j] /= n
    for t in range(tasks):
        count = share(n, tasks, t + 1) - share(n, tasks, t)
        for j in range(mean.size):
            delta = rest[t, j] - mean[j]
            var[j] += squares[t, j] + count * delta * delta
    for j in range(mean.size):
        mean[j] += origin[0, j]
        var[j] = 0 if var[j] < 0 else var[j] / n  # rounding may leave less than nothing
