"""Convolutions of few channels in each group, by kernels that need no matrix in between."""

from __future__ import annotations

from math import prod

import numpy as np

from nnkit.backends.contract import Array, Out
from nnkit.backends.cupy.grids import tiles
from nnkit.backends.cupy.launching import Launcher
from nnkit.backends.cupy.lying import Lying
from nnkit.backends.cupy.windows import launch, reciprocal
from nnkit.dtypes import arithmetic

KERNELS = 9
"""Elements of kernels that a thread adds up at once: see convolution.cu."""


def forward(
    launcher: Launcher,
    kind: str,
    lying: Lying,
    x: Array,
    weight: Array,
    bias: Array | None,
    y: Out,
) -> None:
    """``y = f(x * weight + bias)``."""
    of_row = -(-lying.places[1] // (2 if x.itemsize == 2 else 4))  # strips of PLACES
    strips = len(x) * lying.places[0] * of_row
    given = x, weight, bias, np.int32(kind == "relu"), y
    sizes = np.int64(strips), np.int32(of_row), reciprocal(of_row)
    args = *given, *sizes, *lying.sizes(), *lying.axes()
    launch(launcher, "convolution", "convolution", y, strips, lying.outputs, *args)


def image_gradient(launcher: Launcher, lying: Lying, dz: Array, weight: Array, dx: Out) -> None:
    """For each pixel the sum of dz times the kernels, over the places that see it."""
    pixels = prod(dx.shape[:3])
    args = dz, weight, dx, np.int64(pixels), *lying.sizes(), *lying.axes()
    name = "convolution_backward_images"
    launch(launcher, "convolution", name, dx, pixels, lying.channels, *args)


def weight_gradient(launcher: Launcher, lying: Lying, x: Array, dz: Array, dweight: Out) -> None:
    """Sum what the places see times dz, in a fixed order."""
    places, numbers = prod(dz.shape[:3]), prod(dweight.shape[:3])
    slices = -(-numbers // KERNELS)
    most = max(1, launcher.most_blocks // slices)
    (across, groups), block = tiles(places, lying.outputs, dz.dtype, most)
    partial = launcher.scratch(groups * dweight.size, arithmetic(dz.dtype))
    done = launcher.scratch(across * slices, np.uint32)
    args = dz, x, dweight, np.int64(places), *lying.sizes(), partial, done, *lying.axes()
    name, grid = "convolution_backward_weights", (across, groups, slices)
    launcher.launch("convolution", name, dz.dtype, grid, block, args)
