"""The gradients of convolutions, in one pass over the images."""

from typing import Any

import numpy as np

from nnkit.kernels.numba.codegen.copies import add_part, add_vector
from nnkit.kernels.numba.codegen.denormals import flush_denormals, restore_denormals
from nnkit.kernels.numba.codegen.jit import inline, shared
from nnkit.kernels.numba.codegen.processor import REGISTER_BYTES
from nnkit.kernels.numba.codegen.tile import PADDED
from nnkit.kernels.numba.convolution import GRAIN
from nnkit.kernels.numba.gathering import clear, copy, multiply, multiply_rows, pad, unpad
from nnkit.kernels.numba.geometry import (
    BLOCK_WINDOWS,
    CHANNELS,
    COPIED,
    ELEMENTS,
    GROUPS,
    IMAGE,
    OUTPUTS,
    STEP,
    STRIP,
    TOGETHER,
    WINDOW,
    WINDOWS,
)
from nnkit.kernels.numba.geometry import PADDED as PADDED_SIZE
from nnkit.kernels.numba.products import transpose
from nnkit.kernels.numba.runtime.memory import ME
from nnkit.kernels.numba.runtime.tasks import MAX_TASKS, share
from nnkit.kernels.numba.runtime.team import barrier, my_chunk, my_range
from nnkit.kernels.numba.tiles import fold_tile, tile_width

WINDOW_NUMBERS = 1 << 14
"""Numbers of windows' gradients that are computed before they are added to the images."""
TASK_ROWS = 1024
"""Places worth a task, whose sums are as many numbers as the weights."""
LARGE_TASKS, SUMS = 8, 1 << 22
"""Tasks where the weights are many: the sums of more would have more numbers than that."""


def task_count(images: int, places: int, weights: int) -> int:
    """Give the number of tasks for images of so many places in all, at least 1."""
    most = min(MAX_TASKS, max(LARGE_TASKS, SUMS // max(1, weights)))
    return max(1, min(images, places // TASK_ROWS, most))


@inline
def _masked(dy: Any, y: Any, out: Any) -> None:
    for i in range(dy.size):
        out[i] = dy[i] if y[i] > 0 else dy.dtype.type(0)


@inline
def before(dy: Any, y: Any, at: int, scratch: Any) -> Any:
    """The gradient before ReLU, in the scratch if there is some; else there is no ReLU."""
    if scratch.size == 0:
        return dy
    _masked(dy, y[at : at + dy.size], scratch)
    return scratch[: dy.size]


@inline
def _chosen(dy: Any, place: Any, number: Any, out: Any) -> None:
    for i in range(out.size):
        out[i] = dy[i] if place[i] == number else dy.dtype.type(0)


@inline
def add_up(d: Any, total: Any) -> None:
    """Add rows to a tile of some, which stays in the cache."""
    for first in range(0, d.size, total.size):
        part = d[first : first + total.size]
        for i in range(part.size):
            total[i] += part[i]


@inline
def _turned(weight: Any, numbers: Any, depth: int) -> Any:
    """The weights' matrix transposed, one group behind the other; rows as long as whole vectors."""
    lanes = REGISTER_BYTES // weight.itemsize
    outputs, groups = numbers[OUTPUTS], numbers[GROUPS]
    row = (depth + lanes - 1) // lanes * lanes
    out = np.empty((outputs + lanes) * row, weight.dtype)
    columns = outputs // groups
    for group in range(groups):
        part = out[group * columns * row :]
        transpose(weight, group * columns, outputs, depth, columns, part, lanes)
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
def _add_weights(
    x: Any,
    image: int,
    count: int,
    numbers: Any,
    taps: Any,
    positions: Any,
    lines: Any,
    dz: Any,
    padded: Any,
    partial: Any,
    width: int,
    add: bool,
) -> None:
    """Give, or add, the weights' gradient of some images."""
    outputs, groups = numbers[OUTPUTS], numbers[GROUPS]
    channels, columns = numbers[CHANNELS] // groups, outputs // groups
    depth = count * numbers[WINDOWS] * numbers[ELEMENTS]
    a, a_at = x, image * numbers[IMAGE]
    if numbers[COPIED] != 0:
        pad(x, numbers, image, count, padded)
        a, a_at = padded, 0
    for group in range(groups):
        at, column = a_at + group * channels, group * columns
        multiply(
            *(a, at, taps, 0, positions, 0, depth, dz, column, outputs),
            *(partial, column, lines, 0, taps.size, columns, width, add),
        )


@inline
def _input_gradient(
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
def _spread_windows(d: Any, place: Any, count: int, numbers: Any, out: Any) -> None:
    """Have each gradient at its place among the elements of its window, the others zero."""
    elements, windows, block = numbers[ELEMENTS], numbers[WINDOWS], numbers[BLOCK_WINDOWS]
    outputs = numbers[OUTPUTS]
    if elements == 1:
        copy(d, out[: d.size])
        return
    at = target = 0
    for _ in range(count):
        for window in range(0, windows, block):
            size = min(block, windows - window) * outputs
            for e in range(elements):
                where = place[at : at + size]
                _chosen(d[at : at + size], where, place.dtype.type(e), out[target : target + size])
                target += size
            at += size


@inline
def _add_all(sums: Any, at: int, first: int, last: int, out: Any) -> None:
    """Add up columns of the tasks' sums, one task after the other."""
    for j in range(first, last):
        out[j] = sums[0, at + j]
    for t in range(1, len(sums)):
        for j in range(first, last):
            out[j] += sums[t, at + j]


@inline
def add_tasks(sums: Any, dweight: Any, dbias: Any, team: Any) -> None:
    """Add up what the tasks of all members have summed: weights', then biases' gradients."""
    barrier(team)
    first, last = my_chunk(dweight.size, team)
    _add_all(sums, 0, first, last, dweight)
    if team[ME] == 0:
        _add_all(sums, dweight.size, 0, dbias.size, dbias)


@shared(GRAIN)
def convolution_backward(
    dy: Any,
    x: Any,
    weight: Any,
    y: Any,
    place: Any,
    dweight: Any,
    dbias: Any,
    dx: Any,
    numbers: Any,
    positions: Any,
    taps: Any,
    lines: Any,
    strips: Any,
    images: int,
    masked: bool,
    weight_width: int,
    input_width: int,
    sums: Any,
    team: Any,
) -> None:
    """Give the gradients of `convolution`; empty ones are not wanted.

    `sums` (tasks, weights and biases) receives what each task adds up over its images.
    """
    state = flush_denormals()
    lanes = REGISTER_BYTES // dy.itemsize
    together, outputs = numbers[TOGETHER], numbers[OUTPUTS]
    windows, rows = numbers[WINDOWS], numbers[WINDOWS] * numbers[ELEMENTS]
    copied = numbers[COPIED] != 0 and dweight.size > 0
    padded = np.zeros(together * numbers[PADDED_SIZE] if copied else 0, x.dtype)
    masks = np.empty(together * windows * outputs if masked else 0, dy.dtype)
    apart = numbers[ELEMENTS] > 1 or PADDED
    dense = np.zeros(together * rows * outputs + lanes if apart else 0, dy.dtype)
    total = np.empty(tile_width(windows * outputs, outputs) if dbias.size else 0, dy.dtype)
    kernels = _turned(weight, numbers, numbers[WINDOW] if dx.size else 0)
    seen = np.empty(max(8, WINDOW_NUMBERS // numbers[WINDOW]) * numbers[WINDOW], dy.dtype)
    inputs = np.empty(
        together * numbers[PADDED_SIZE] if numbers[COPIED] and dx.size else 0, dy.dtype
    )
    tasks = len(sums)
    begin, end = my_range(tasks, team)
    for task in range(begin, end):
        first, last = share(images, tasks, task), share(images, tasks, task + 1)
        clear(total)
        partial = sums[task]
        if first == last:
            clear(partial[: dweight.size])
        for image in range(first, last, together):
            count = min(together, last - image)
            at, size = image * windows * outputs, count * windows * outputs
            d = before(dy[at : at + size], y, at, masks)
            if dbias.size:
                add_up(d, total)
            dz = d
            if apart:
                dz = dense
                _spread_windows(d, place[at : at + size], count, numbers, dz)
            if dweight.size:
                _add_weights(
                    *(x, image, count, numbers, taps, positions, lines, dz),
                    *(padded, partial, weight_width, image > first),
                )
            if dx.size:
                here = inputs
                if numbers[COPIED] == 0:
                    here = dx[image * numbers[IMAGE] : (image + count) * numbers[IMAGE]]
                clear(here)
                _input_gradient(
                    dz, count, numbers, positions, strips, kernels, seen, here, input_width
                )
                if numbers[COPIED] != 0:
                    unpad(inputs, numbers, image, count, dx)
        if dbias.size:
            fold_tile(total, partial[dweight.size :])
    add_tasks(sums, dweight, dbias, team)
    restore_denormals(state)
