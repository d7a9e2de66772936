"""Convolutions, as gathered products on images that are read where they are.

Every product of a convolution is ``out[i, j] += sum of a[rows[i] + columns[k]] * b[k, j]`` over k
(see codegen/tile.py, geometry.py). Forward the rows are places and the columns elements of a
kernel; for the weights' gradient it is the other way round; for the input's gradient,
see input_gradients.py. Nothing is copied but images that need padding. What follows, bias,
activation and pooling, and what precedes backward, is done with some thousand numbers at a time,
which are in the cache.
"""

from typing import Any

import numpy as np

from nnkit.kernels.numba.codegen.denormals import flush_denormals, restore_denormals
from nnkit.kernels.numba.codegen.jit import inline, shared
from nnkit.kernels.numba.codegen.windows import largest_along
from nnkit.kernels.numba.gathering import bordered, clear, multiply, readable
from nnkit.kernels.numba.geometry import (
    BLOCK_WINDOWS,
    CHANNELS,
    COPIED,
    ELEMENTS,
    GROUPS,
    OUTPUTS,
    PADDED,
    TOGETHER,
    WINDOWS,
)
from nnkit.kernels.numba.runtime.team import my_range
from nnkit.kernels.numba.tiles import repeat_row, tile_width

GRAIN = 1 << 17
"""Multiplications worth a thread."""


@inline
def _finish(y: Any, biases: Any, floor: Any) -> None:
    """``y = max(y + bias, floor)``, NaN where y is NaN."""
    for first in range(0, y.size, biases.size):
        out = y[first : first + biases.size]
        for i in range(out.size):
            value = out[i] + biases[i]
            out[i] = floor if value < floor else value


@shared(GRAIN)
def convolution(
    x: Any,
    weight: Any,
    bias: Any,
    y: Any,
    place: Any,
    numbers: Any,
    positions: Any,
    taps: Any,
    lines: Any,
    images: int,
    floor: float,
    width: int,
    team: Any,
) -> None:
    """``y = max(x * weight + bias, floor)`` of flat arrays, or its largest of each window."""
    state = flush_denormals()
    first, last = my_range(images, team)
    together, outputs, groups = numbers[TOGETHER], numbers[OUTPUTS], numbers[GROUPS]
    elements, windows = numbers[ELEMENTS], numbers[WINDOWS]
    channels, columns = numbers[CHANNELS] // groups, outputs // groups
    padded = np.zeros(together * numbers[PADDED] if numbers[COPIED] != 0 else 0, x.dtype)
    block = numbers[BLOCK_WINDOWS]
    largest = np.empty(block * elements * outputs if elements > 1 else 0, x.dtype)
    biases = np.empty(tile_width(block * outputs, outputs), x.dtype)
    repeat_row(bias, biases)
    low = x.dtype.type(floor)
    b = readable(weight)
    for image in range(first, last, together):
        count = min(together, last - image)
        a, a_at = bordered(x, numbers, image, count, padded)
        row, target = 0, image * windows * outputs
        for _ in range(1 if elements == 1 else count):
            some = windows * count if elements == 1 else windows
            for window in range(0, some, block):
                now = min(block, some - window)
                z, z_at = y, target
                if elements > 1:
                    z, z_at = largest, 0
                for group in range(groups):
                    at, column = a_at + group * channels, group * columns
                    multiply(
                        *(a, at, positions, row, taps, 0, taps.size, b, column, outputs),
                        *(z, z_at + column, lines, 0, now * elements, columns, width, False),
                    )
                size = now * outputs
                out = y[target : target + size]
                if elements > 1:
                    run, taps_of = (size, 1, 0, 0), (elements, size, 1, 1, 0, 0, 0)
                    largest_along((z,), 0, (y, place), target, (), run, taps_of)
                elif place.size > 0:
                    clear(place[target : target + size])
                _finish(out, biases, low)
                row, target = row + now * elements, target + size
    restore_denormals(state)
