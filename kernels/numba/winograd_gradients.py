"""The gradients of convolutions by minimal filtering: the transposed transforms and products."""

from typing import Any

import numpy as np

from nnkit.kernels.numba.backward import add_tasks, add_up, before
from nnkit.kernels.numba.codegen.denormals import flush_denormals, restore_denormals
from nnkit.kernels.numba.codegen.jit import inline, shared
from nnkit.kernels.numba.codegen.processor import REGISTER_BYTES
from nnkit.kernels.numba.codegen.winograd import (
    largest_to_tile,
    output_to_tile,
    tile_to_image,
    tile_to_kernel,
)
from nnkit.kernels.numba.convolution import GRAIN
from nnkit.kernels.numba.gathering import bordered, clear, multiply_rows, unpad
from nnkit.kernels.numba.geometry import CHANNELS, COPIED, IMAGE, OUTPUTS, PADDED, PADDED_ROW
from nnkit.kernels.numba.packing import transpose
from nnkit.kernels.numba.runtime.tasks import share
from nnkit.kernels.numba.runtime.team import my_range
from nnkit.kernels.numba.tiles import fold_tile, tile_width
from nnkit.kernels.numba.winograd import GAP, multiply_tiles, tiles_of_images, tiles_of_kernels
from nnkit.kernels.numba.winograd_geometry import ELEMENTS


@inline
def _tiles_of_outputs(
    d: Any, place: Any, outputs: int, places: Any, first: int, count: int, length: int, out: Any
) -> None:
    """Transform a gradient to tiles (ELEMENTS, length, outputs)."""
    step = length * outputs + GAP
    for t in range(count):
        for o in range(0, outputs, REGISTER_BYTES // d.itemsize):
            at, target = places[first + t, 1] + o, t * outputs + o
            if place.size > 0:
                largest_to_tile(d, place, at, out, target, step)
            else:
                down, right = places[first + t, 2], places[first + t, 3]
                output_to_tile(d, at, down, right, out, target, 4 * step, step)


@inline
def _add_images(
    tiles: Any, numbers: Any, places: Any, first: int, count: int, length: int, out: Any
) -> None:
    """Add tiles (ELEMENTS, length, channels), transformed, to the pixels they are of."""
    channels = numbers[CHANNELS]
    step = length * channels + GAP
    for t in range(count):
        at = places[first + t, 0]
        for c in range(0, channels, REGISTER_BYTES // tiles.itemsize):
            source = tiles, t * channels + c, 4 * step, step
            tile_to_image(*source, out, at + c, numbers[PADDED_ROW], channels)


@inline
def _turned(kernels: Any, channels: int, outputs: int) -> Any:
    """Matrices (ELEMENTS, channels, outputs) transposed."""
    out = np.empty(kernels.size, kernels.dtype)
    for e in range(0, kernels.size, channels * outputs):
        lanes = REGISTER_BYTES // out.itemsize
        transpose(kernels, e, outputs, channels, outputs, out, e, lanes)
    return out


@inline
def _add_products(
    below: Any, above: Any, count: int, length: int, numbers: Any, out: Any, width: int
) -> None:
    """Add to matrices (ELEMENTS, channels, outputs) what some tiles of both sides give."""
    channels, outputs = numbers[CHANNELS], numbers[OUTPUTS]
    for e in range(ELEMENTS):
        multiply_rows(
            *(below, e * (length * channels + GAP), 1, channels, channels, count),
            *(above, e * (length * outputs + GAP), outputs),
            *(out, e * channels * outputs, outputs, width, True),
        )


@inline
def _kernels_of_tiles(tiles: Any, step: int, out: Any) -> None:
    """Transform matrices, `step` numbers each, to the weights' gradient."""
    for i in range(0, step, REGISTER_BYTES // out.itemsize):
        tile_to_kernel(tiles, i, 4 * step, step, out, i, 3 * step, step)


@shared(GRAIN)
def winograd_backward(
    dy: Any,
    x: Any,
    weight: Any,
    y: Any,
    place: Any,
    dweight: Any,
    dbias: Any,
    dx: Any,
    numbers: Any,
    places: Any,
    length: int,
    together: int,
    images: int,
    masked: bool,
    weight_width: int,
    input_width: int,
    sums: Any,
    team: Any,
) -> None:
    """Do as `convolution_backward`."""
    state = flush_denormals()
    channels, outputs = numbers[CHANNELS], numbers[OUTPUTS]
    size, tiles, matrix = dy.size // images, len(places) // together, channels * outputs
    border = together * numbers[PADDED] if numbers[COPIED] != 0 else 0
    padded = np.zeros(border if dweight.size else 0, x.dtype)
    inputs = np.empty(border if dx.size else 0, dy.dtype)
    masks = np.empty(together * size if masked else 0, dy.dtype)
    total = np.empty(tile_width(size, outputs) if dbias.size else 0, dy.dtype)
    above = np.empty(ELEMENTS * (length * outputs + GAP), dy.dtype)
    below = np.empty(ELEMENTS * (length * channels + GAP), dy.dtype)
    kernels = np.empty(ELEMENTS * matrix, dy.dtype)
    tiles_of_kernels(weight, channels, outputs, kernels)
    turned = _turned(kernels, channels, outputs)
    tasks = len(sums)
    begin, end = my_range(tasks, team)
    for task in range(begin, end):
        first, last = share(images, tasks, task), share(images, tasks, task + 1)
        clear(total)
        clear(kernels)
        for image in range(first, last, together):
            here = min(together, last - image)
            at, pixels = image * size, image * numbers[IMAGE]
            d = before(dy[at : at + here * size], y, at, masks)
            if total.size:
                add_up(d, total)
            a, a_at = bordered(x, numbers, image, here, padded)
            out = inputs
            if border == 0:
                out = dx[pixels : pixels + here * numbers[IMAGE]]
            clear(out)
            for tile in range(0, here * tiles, length):
                count = min(length, here * tiles - tile)
                _tiles_of_outputs(d, place[at:], outputs, places, tile, count, length, above)
                if dweight.size:
                    tiles_of_images(a, a_at, numbers, places, tile, count, length, below)
                    _add_products(below, above, count, length, numbers, kernels, weight_width)
                if dx.size:
                    multiply_tiles(
                        *(above, outputs, count, length, turned, channels, below, input_width)
                    )
                    _add_images(below, numbers, places, tile, count, length, out)
            if inputs.size:
                unpad(inputs, numbers, image, here, dx)
        partial = sums[task]
        if dweight.size:
            _kernels_of_tiles(kernels, matrix, partial)
        fold_tile(total, partial[dweight.size :])
    add_tasks(sums, dweight, dbias, team)
    restore_denormals(state)
