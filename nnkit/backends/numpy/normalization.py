"""Normalisation over the batch and over the features."""

from __future__ import annotations

import numpy as np

from nnkit.backends.contract import Array, Norm, Out, Running, rectified


def moments_along(x: Array, axis: int) -> tuple[Array, Array]:
    """Mean and variance in float64; what rounding leaves of the mean is corrected."""
    near = x.mean(axis, dtype=np.float64, keepdims=True)
    rest = (x - near).mean(axis, keepdims=True)
    return (near + rest).squeeze(axis), np.square(x - near - rest).mean(axis)


def batch_norm_forward(
    kind: str, x: Array, norm: Norm, running: Running, mean: Out, var: Out, y: Out
) -> None:
    unbiased = len(x) / (len(x) - 1)
    running_mean, running_var, momentum = running
    with np.errstate(invalid="ignore"):
        exact_mean, exact_var = moments_along(x, axis=0)
        mean[...], var[...] = exact_mean, exact_var
        running_mean += momentum * (exact_mean - running_mean)
        running_var += momentum * (unbiased * exact_var - running_var)
        batch_norm_inference(kind, x, norm, mean, var, y)


def batch_norm_inference(kind: str, x: Array, norm: Norm, mean: Array, var: Array, y: Out) -> None:
    np.multiply(x - mean, norm.gamma / np.sqrt(var + norm.eps), out=y)
    y += norm.beta
    if rectified(kind):
        np.maximum(y, 0, out=y)


def passed_and_normal(
    kind: str, dy: Array, y: Array, x: Array, norm: Norm, mean: Array, var: Array
) -> tuple[Array, Array, Array]:
    """What the activation lets through of dy, the normalised x, and what x was multiplied by."""
    if rectified(kind):
        dy = np.where(y > 0, dy, 0)
    inverse = 1 / np.sqrt(var + norm.eps)
    return dy, (x - mean) * inverse, inverse


def batch_norm_backward(
    kind: str,
    dy: Array,
    y: Array,
    x: Array,
    norm: Norm,
    mean: Array,
    var: Array,
    dgamma: Out,
    dbeta: Out,
    dx: Out,
    batch_statistics: bool,
) -> None:
    dy, xhat, inverse = passed_and_normal(kind, dy, y, x, norm, mean, var)
    np.sum(dy, axis=0, out=dbeta)
    np.sum(dy * xhat, axis=0, out=dgamma)
    rest = (dbeta + xhat * dgamma) / len(x) if batch_statistics else 0
    np.multiply(dy - rest, norm.gamma * inverse, out=dx)


def layer_norm_forward(x: Array, norm: Norm, mean: Out, inv_std: Out, y: Out) -> None:
    with np.errstate(invalid="ignore"):
        mean[...], variance = moments_along(x, axis=1)
        inv_std[...] = 1 / np.sqrt(variance + norm.eps)
        np.multiply((x - mean[:, None]) * inv_std[:, None], norm.gamma, out=y)
        y += norm.beta


def layer_norm_backward(
    dy: Array,
    x: Array,
    norm: Norm,
    mean: Array,
    inv_std: Array,
    dgamma: Out,
    dbeta: Out,
    dx: Out,
) -> None:
    inverse = inv_std[:, None]
    xhat = (x - mean[:, None]) * inverse
    np.sum(dy, axis=0, out=dbeta)
    np.sum(dy * xhat, axis=0, out=dgamma)
    g = dy * norm.gamma
    rest = g.mean(axis=1, keepdims=True) + xhat * (g * xhat).mean(axis=1, keepdims=True)
    np.multiply(g - rest, inverse, out=dx)
