"""Batch normalisation of a batch that several ranks share."""

from __future__ import annotations

import numpy as np

from nnkit.backends.contract import Array, Norm, Out, Running
from nnkit.backends.numpy.normalization import moments_along, passed_and_normal


def batch_norm_moments(x: Array, place: int, moments: Out) -> None:
    moments[...] = 0
    n, m = x.shape
    if n:
        with np.errstate(invalid="ignore"):
            mean, var = moments_along(x, axis=0)
        moments[place, 0], moments[place, 1 : m + 1], moments[place, m + 1 :] = n, mean, n * var


def batch_norm_merge(moments: Array, running: Running, mean: Out, var: Out) -> None:
    m = len(mean)
    of_ranks = moments[moments[:, 0] > 0].astype(np.float64)
    count, means, squares = of_ranks[:, :1], of_ranks[:, 1 : m + 1], of_ranks[:, m + 1 :]
    total = count.sum()
    with np.errstate(invalid="ignore"):
        origin = means[0]
        exact_mean = origin + (count * (means - origin)).sum(axis=0) / total
        exact_squares = (squares + count * np.square(means - exact_mean)).sum(axis=0)
        mean[...], var[...] = exact_mean, exact_squares / total
        running.mean[...] += running.momentum * (exact_mean - running.mean)
        running.var[...] += running.momentum * (exact_squares / (total - 1) - running.var)


def batch_norm_sums(
    kind: str,
    dy: Array,
    y: Array,
    x: Array,
    norm: Norm,
    mean: Array,
    var: Array,
    dgamma: Out,
    dbeta: Out,
    sums: Out,
) -> None:
    dy, xhat, _ = passed_and_normal(kind, dy, y, x, norm, mean, var)
    np.sum(dy, axis=0, out=sums[0])
    np.sum(dy * xhat, axis=0, out=sums[1])
    dbeta[...], dgamma[...] = sums


def batch_norm_input_gradient(
    kind: str,
    dy: Array,
    y: Array,
    x: Array,
    norm: Norm,
    mean: Array,
    var: Array,
    sums: Array,
    count: int,
    dx: Out,
) -> None:
    dy, xhat, inverse = passed_and_normal(kind, dy, y, x, norm, mean, var)
    np.multiply(dy - (sums[0] + xhat * sums[1]) / count, norm.gamma * inverse, out=dx)
