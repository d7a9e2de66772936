"""The gradient of a convolution's input: dz times the weights, added where the windows lie."""

from typing import Any

import numpy as np

from nnkit.kernels.numba.codegen.copies import add_part, add_vector
from nnkit.kernels.numba.codegen.jit import inline
from nnkit.kernels.numba.codegen.processor import REGISTER_BYTES
from nnkit.kernels.numba.gathering import clear, multiply_rows, unpad
from nnkit.kernels.numba.geometry import (
    CHANNELS,
    COPIED,
    ELEMENTS,
    GROUPS,
    IMAGE,
    OUTPUTS,
    STEP,
    STRIP,
    WINDOW,
    WINDOWS,
)
from nnkit.kernels.numba.packing import transpose

WINDOW_NUMBERS = 1 << 14
"""Numbers of windows' gradients that are computed before they are added to the images."""


@inline
def turned(weight: Any, numbers: Any, depth: int) -> Any:
    """The weights' matrix transposed, one group behind the other; rows as long as whole vectors."""
    lanes = REGISTER_BYTES // weight.itemsize
    outputs, groups = numbers[OUTPUTS], numbers[GROUPS]
    row = (depth + lanes - 1) // lanes * lanes
    out = np.empty((outputs + lanes) * row, weight.dtype)
    columns = outputs // groups
    for group in range(groups):
        part = out[group * columns * row :]
        transpose(weight, group * columns, outputs, depth, columns, part, 0, lanes)
    return out


@inline
def _add_windows(
    windows: Any,
    at: int,
    count: int,
    numbers: Any,
    positions: Any,
    first: int,
    strips: Any,
    shift: int,
    out: Any,
) -> None:
    """Add what windows have, from row `at` on, strip by strip, to the image that they lie on.

    Windows side by side, which share pixels, do not follow each other: a sum that has just been
    written would be waited for.
    """
    lanes = REGISTER_BYTES // out.itemsize
    size, length, step = numbers[WINDOW], numbers[STRIP], numbers[STEP]
    whole = length - length % lanes
    for begin in range(step):
        for i in range(begin, count, step):
            source, place = (at + i) * size, positions[first + i] + shift
            for strip in strips:
                target = place + strip
                for j in range(0, whole, lanes):
                    add_vector(windows, source + j, out, target + j)
                if whole < length:
                    add_part(windows, source + whole, length - whole, out, target + whole)
                source += length


@inline
def _add_inputs(
    dz: Any,
    count: int,
    numbers: Any,
    positions: Any,
    strips: Any,
    kernels: Any,
    windows: Any,
    dx: Any,
    width: int,
) -> None:
    """Add dx of some images: each place's dz times the weights, at the window it sees.

    A block of places is of whole images or of one: in which order windows are added does not depend
    on the images around.
    """
    outputs, groups, size = numbers[OUTPUTS], numbers[GROUPS], numbers[WINDOW]
    channels, columns = numbers[CHANNELS] // groups, outputs // groups
    row = kernels.size // (outputs + REGISTER_BYTES // dx.itemsize)
    rows, places = windows.size // size, numbers[WINDOWS] * numbers[ELEMENTS]
    together = max(1, rows // max(1, places))
    for image in range(0, count, together):
        images = min(together, count - image)
        for begin in range(0, places, rows):
            now, first = min(rows, places - begin), image * places + begin
            for group in range(groups):
                multiply_rows(
                    *(dz, first * outputs + group * columns, outputs, 1, images * now, columns),
                    *(kernels, group * columns * row, row, windows, 0, size, width, False),
                )
                for i in range(images):
                    here = positions, first + i * places, strips, group * channels
                    _add_windows(windows, i * now, now, numbers, *here, dx)


@inline
def give_inputs(
    dz: Any,
    image: int,
    count: int,
    numbers: Any,
    positions: Any,
    strips: Any,
    kernels: Any,
    windows: Any,
    padded: Any,
    dx: Any,
    width: int,
) -> None:
    """Give dx of some images, by way of padded ones if they have a border."""
    out = padded
    if numbers[COPIED] == 0:
        out = dx[image * numbers[IMAGE] : (image + count) * numbers[IMAGE]]
    clear(out)
    _add_inputs(dz, count, numbers, positions, strips, kernels, windows, out, width)
    if numbers[COPIED] != 0:
        unpad(padded, numbers, image, count, dx)
