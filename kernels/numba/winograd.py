"""Convolutions of 3x3 by minimal filtering, with 2.25 times fewer multiplications.

Images are transformed to tiles, and kernels too (codegen/winograd.py). Element e of all tiles is a
matrix (tiles, channels), which is multiplied by that of all kernels, (channels, outputs): these 16
products take the time. What they give, transformed back, is 2x2 outputs for each tile, or the
largest of them. Some tiles at a time are transformed, so that all stays in the second-level cache.
"""

from typing import Any

import numpy as np

from nnkit.kernels.numba.codegen.denormals import flush_denormals, restore_denormals
from nnkit.kernels.numba.codegen.jit import inline, shared
from nnkit.kernels.numba.codegen.processor import REGISTER_BYTES
from nnkit.kernels.numba.codegen.winograd import (
    image_to_tile,
    kernel_to_tile,
    tile_to_largest,
    tile_to_output,
)
from nnkit.kernels.numba.convolution import GRAIN
from nnkit.kernels.numba.gathering import bordered, multiply_rows
from nnkit.kernels.numba.geometry import CHANNELS, COPIED, OUTPUTS, PADDED, PADDED_ROW
from nnkit.kernels.numba.runtime.team import my_range
from nnkit.kernels.numba.winograd_geometry import ELEMENTS

GAP = 16
"""Numbers between the matrices of a tile's elements, which would share lines of the cache else."""


@inline
def tiles_of_images(
    a: Any, a_at: int, numbers: Any, places: Any, first: int, count: int, length: int, out: Any
) -> None:
    """Transform images to tiles (ELEMENTS, length, channels)."""
    channels = numbers[CHANNELS]
    step = length * channels + GAP
    for t in range(count):
        at = a_at + places[first + t, 0]
        for c in range(0, channels, REGISTER_BYTES // a.itemsize):
            image_to_tile(
                *(a, at + c, numbers[PADDED_ROW], channels),
                *(out, t * channels + c, 4 * step, step),
            )


@inline
def tiles_of_kernels(weight: Any, channels: int, outputs: int, out: Any) -> None:
    """Transform kernels to matrices (ELEMENTS, channels, outputs)."""
    step = channels * outputs
    for i in range(0, step, REGISTER_BYTES // weight.itemsize):
        kernel_to_tile(weight, i, 3 * step, step, out, i, 4 * step, step)


@inline
def multiply_tiles(
    a: Any, depth: int, count: int, length: int, b: Any, outputs: int, c: Any, width: int
) -> None:
    """Multiply the matrices of all elements."""
    for e in range(ELEMENTS):
        multiply_rows(
            *(a, e * (length * depth + GAP), depth, 1, count, depth),
            *(b, e * depth * outputs, outputs),
            *(c, e * (length * outputs + GAP), outputs, width, False),
        )


@shared(GRAIN)
def winograd(
    x: Any,
    weight: Any,
    bias: Any,
    y: Any,
    place: Any,
    numbers: Any,
    places: Any,
    length: int,
    together: int,
    images: int,
    floor: float,
    width: int,
    team: Any,
) -> None:
    """Do as `convolution`; `place` is empty where the largest outputs are not wanted."""
    state = flush_denormals()
    first, last = my_range(images, team)
    channels, outputs = numbers[CHANNELS], numbers[OUTPUTS]
    padded = np.zeros(together * numbers[PADDED] if numbers[COPIED] != 0 else 0, x.dtype)
    before = np.empty(ELEMENTS * (length * channels + GAP), x.dtype)
    after = np.empty(ELEMENTS * (length * outputs + GAP), x.dtype)
    kernels = np.empty(ELEMENTS * channels * outputs, x.dtype)
    tiles_of_kernels(weight, channels, outputs, kernels)
    low = x.dtype.type(floor)
    step = length * outputs + GAP
    size, tiles = y.size // images, len(places) // together
    for image in range(first, last, together):
        here = min(together, last - image)
        a, a_at = bordered(x, numbers, image, here, padded)
        for tile in range(0, here * tiles, length):
            count = min(length, here * tiles - tile)
            tiles_of_images(a, a_at, numbers, places, tile, count, length, before)
            multiply_tiles(before, channels, count, length, kernels, outputs, after, width)
            for t in range(count):
                at = image * size + places[tile + t, 1]
                for o in range(0, outputs, REGISTER_BYTES // x.itemsize):
                    source = after, t * outputs + o, step, bias, o, low
                    if place.size > 0:
                        tile_to_largest(*source, y, place, at + o)
                    else:
                        down, right = places[tile + t, 2], places[tile + t, 3]
                        tile_to_output(*source, y, at + o, down, right)
    restore_denormals(state)
