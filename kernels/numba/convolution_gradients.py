"""The gradients of convolutions, in one pass over the images."""

from typing import Any

import numpy as np

from nnkit.kernels.numba.codegen.denormals import flush_denormals, restore_denormals
from nnkit.kernels.numba.codegen.jit import inline, shared
from nnkit.kernels.numba.codegen.processor import REGISTER_BYTES
from nnkit.kernels.numba.codegen.tile import PADDED
from nnkit.kernels.numba.convolution import GRAIN
from nnkit.kernels.numba.gathering import copy, multiply, pad
from nnkit.kernels.numba.geometry import (
    BLOCK_WINDOWS,
    CHANNELS,
    COPIED,
    ELEMENTS,
    GROUPS,
    IMAGE,
    OUTPUTS,
    TOGETHER,
    WINDOWS,
)
from nnkit.kernels.numba.geometry import PADDED as PADDED_SIZE
from nnkit.kernels.numba.products import transpose
from nnkit.kernels.numba.runtime.memory import ME
from nnkit.kernels.numba.runtime.tasks import share
from nnkit.kernels.numba.runtime.team import barrier, my_chunk, my_range
from nnkit.kernels.numba.tiles import fold_tile, tile_width

TASK_ROWS = 1024
"""Places worth a task, whose sums are as many numbers as the weights."""


@inline
def _masked(dy: Any, y: Any, out: Any) -> None:
    for i in range(dy.size):
        out[i] = dy[i] if y[i] > 0 else dy.dtype.type(0)


@inline
def _before(dy: Any, y: Any, at: int, scratch: Any) -> Any:
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
def _add_up(d: Any, total: Any) -> None:
    for first in range(0, d.size, total.size):
        part = d[first : first + total.size]
        for i in range(part.size):
            total[i] += part[i]


@inline
def _turned(weight: Any, order: Any, numbers: Any) -> Any:
    """The weights transposed, in the order of the phases, one group behind the other.

    Rows are as long as whole vectors.
    """
    lanes = REGISTER_BYTES // weight.itemsize
    outputs, groups = numbers[OUTPUTS], numbers[GROUPS]
    channels, columns = numbers[CHANNELS] // groups, outputs // groups
    row = (channels + lanes - 1) // lanes * lanes
    out = np.empty((groups * order.size * columns + lanes) * row, weight.dtype)
    at = 0
    for group in range(groups):
        for tap in order:
            begin = tap * channels * outputs + group * columns
            transpose(weight, begin, outputs, channels, columns, out[at:], lanes)
            at += columns * row
    return out


@inline
def _put_around(dz: Any, spots: Any, count: int, outputs: int, around: Any) -> None:
    """Copy rows of dz to their places in padded images."""
    for i in range(count):
        copy(dz[i * outputs : (i + 1) * outputs], around[spots[i] : spots[i] + outputs])


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
    source: Any,
    count: int,
    numbers: Any,
    phases: Any,
    pixels: Any,
    targets: Any,
    turned: Any,
    kernels: Any,
    dx: Any,
    width: int,
) -> None:
    """Give dx of some images from their dy, padded, and the weights turned."""
    lanes = REGISTER_BYTES // dx.itemsize
    groups = numbers[GROUPS]
    channels, columns = numbers[CHANNELS] // groups, numbers[OUTPUTS] // groups
    row = (channels + lanes - 1) // lanes * lanes
    size = turned.size * row
    for phase in range(len(phases)):
        pixel, own, tap, depth = phases[phase]
        for group in range(groups if depth > 0 else 0):
            at, kernel = group * columns, group * size + tap * row
            multiply(
                *(source, at, pixels, pixel, turned, tap, depth, kernels, kernel, row),
                *(dx, group * channels, targets, pixel, own * count, channels, width, False),
            )


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
    spots: Any,
    spread: Any,
    phases: Any,
    pixels: Any,
    targets: Any,
    turned: Any,
    order: Any,
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
    wide = dx.size > 0 and spread[1] != 0
    around = np.zeros(together * spread[0] if wide else 0, dy.dtype)
    kernels = _turned(weight, order if dx.size else order[:0], numbers)
    tasks = len(sums)
    begin, end = my_range(tasks, team)
    for task in range(begin, end):
        first, last = share(images, tasks, task), share(images, tasks, task + 1)
        total[:] = 0
        partial = sums[task]
        for image in range(first, last, together):
            count = min(together, last - image)
            at, size = image * windows * outputs, count * windows * outputs
            d = _before(dy[at : at + size], y, at, masks)
            if dbias.size:
                _add_up(d, total)
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
                if wide:
                    _put_around(dz, spots, count * rows, outputs, around)
                here = dx[image * numbers[IMAGE] : (image + count) * numbers[IMAGE]]
                if spread[2] != 0:
                    here[:] = 0
                source = around if wide else dz
                _input_gradient(
                    *(source, count, numbers, phases, pixels, targets, turned),
                    *(kernels, here, input_width),
                )
        if dbias.size:
            fold_tile(total, partial[dweight.size :])
    barrier(team)
    first, last = my_chunk(dweight.size, team)
    _add_all(sums, 0, first, last, dweight)
    if team[ME] == 0:
        _add_all(sums, dweight.size, 0, dbias.size, dbias)
    restore_denormals(state)
