"""nnkit's layers in JAX, on images with the channels last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from nnkit import layers as ours
from nnkit.layers import Layer

Values = Iterator[Any]
IMAGES = ("NHWC", "HWIO", "NHWC")


def forward(layers: Iterable[Layer], values: Values, x: jax.Array) -> jax.Array:
    """The output of layers, which take their parameters from `values` in order."""
    for layer in layers:
        x = FORMULAS[type(layer)](layer, values, x)
    return x


def linear(layer: ours.Linear, values: Values, x: jax.Array) -> jax.Array:
    return x @ next(values) + next(values)


def convolution(layer: ours.Conv2d, values: Values, x: jax.Array) -> jax.Array:
    """Rows and columns of zeros are as many on either side."""
    padding = [(p, p) for p in layer.padding]
    y = jax.lax.conv_general_dilated(
        x, next(values), layer.stride, padding, dimension_numbers=IMAGES
    )
    return y + next(values) if layer.bias else y


def largest(layer: ours.MaxPool2d, values: Values, x: jax.Array) -> jax.Array:
    size, stride = (1, *layer.size, 1), (1, *layer.stride, 1)
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, size, stride, "VALID")


def normalization(layer: ours.BatchNorm2d, values: Values, x: jax.Array) -> jax.Array:
    """By the batch's statistics; running averages, which training does not read, are left out."""
    gamma, beta = next(values), next(values)
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    return (x - mean) * jax.lax.rsqrt(var + layer.eps) * gamma + beta


def residual(layer: ours.Residual, values: Values, x: jax.Array) -> jax.Array:
    through = forward(layer.layers, values, x)
    return through + forward([] if layer.shortcut is None else [layer.shortcut], values, x)


FORMULAS: dict[type[Layer], Callable[[Any, Values, jax.Array], jax.Array]] = {
    ours.Image: lambda layer, values, x: x.reshape(-1, *layer.input_shape),
    ours.Conv2d: convolution,
    ours.BatchNorm2d: normalization,
    ours.Linear: linear,
    ours.ReLU: lambda layer, values, x: jax.nn.relu(x),
    ours.MaxPool2d: largest,
    ours.GlobalAvgPool2d: lambda layer, values, x: x.mean((1, 2)),
    ours.Flatten: lambda layer, values, x: x.reshape(len(x), -1),
    ours.Residual: residual,
    ours.Sequential: lambda layer, values, x: forward(layer.layers, values, x),
}
