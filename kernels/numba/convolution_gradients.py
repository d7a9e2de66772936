"""The gradients of convolutions, in one pass over the images."""

from typing import Any

import numpy as np

from nnkit.kernels.numba.backward import add_tasks, add_up, before
from nnkit.kernels.numba.codegen.denormals import flush_denormals, restore_denormals
from nnkit.kernels.numba.codegen.jit import inline, shared
from nnkit.kernels.numba.codegen.processor import REGISTER_BYTES
from nnkit.kernels.numba.codegen.tile import PADDED
from nnkit.kernels.numba.convolution import GRAIN
from nnkit.kernels.numba.gathering import bordered, clear, multiply
from nnkit.kernels.numba.geometry import (
    CHANNELS,
    COPIED,
    ELEMENTS,
    GROUPS,
    OUTPUTS,
    RIGHT,
    TOGETHER,
    WINDOW,
    WINDOWS,
)
from nnkit.kernels.numba.geometry import PADDED as PADDED_SIZE
from nnkit.kernels.numba.input_gradients import WINDOW_NUMBERS, give_inputs, turned
from nnkit.kernels.numba.pooled_gradients import (
    DOUBLES,
    add_pooled_weights,
    choose,
    spread_windows,
)
from nnkit.kernels.numba.runtime.tasks import share
from nnkit.kernels.numba.runtime.team import my_range
from nnkit.kernels.numba.tiles import fold_tile, tile_width


@inline
def _add_weights(
    x: Any,
    image: int,
    count: int,
    numbers: Any,
    taps: Any,
    positions: Any,
    lines: Any,
    firsts: Any,
    chosen: Any,
    quads: Any,
    dz: Any,
    padded: Any,
    partial: Any,
    width: int,
    add: bool,
) -> None:
    """Give, or add, the weights' gradient of some images; add it, where something is chosen."""
    outputs, groups = numbers[OUTPUTS], numbers[GROUPS]
    channels, columns = numbers[CHANNELS] // groups, outputs // groups
    depth = count * numbers[WINDOWS] * numbers[ELEMENTS]
    a, a_at = bordered(x, numbers, image, count, padded)
    if chosen.size > 0:
        add_pooled_weights(*(a, a_at, count, numbers, taps, firsts, lines, chosen, quads, partial))
        return
    for group in range(groups):
        at, column = a_at + group * channels, group * columns
        multiply(
            *(a, at, taps, 0, positions, 0, depth, dz, column, outputs),
            *(partial, column, lines, 0, taps.size, columns, width, add),
        )


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
    firsts: Any,
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
    choosing = numbers[RIGHT] > 0 and dweight.size > 0 and (DOUBLES or dy.itemsize == 4)
    apart = (numbers[ELEMENTS] > 1 or PADDED) and (dx.size > 0 or not choosing)
    dense = np.zeros(together * rows * outputs + lanes if apart else 0, dy.dtype)
    chosen = np.zeros(2 * (together * windows * outputs + lanes) if choosing else 0, dy.dtype)
    masks = chosen[: chosen.size // 2]
    if masked and not choosing:
        masks = np.empty(together * windows * outputs, dy.dtype)
    total = np.empty(tile_width(windows * outputs, outputs) if dbias.size else 0, dy.dtype)
    quads = np.empty(4 * together * numbers[PADDED_SIZE] if choosing else 0, x.dtype)
    kernels = turned(weight, numbers, numbers[WINDOW] if dx.size else 0)
    seen_rows = max(8, WINDOW_NUMBERS // numbers[WINDOW]) if dx.size else 0
    seen = np.empty(seen_rows * numbers[WINDOW], dy.dtype)
    inputs = np.empty(
        together * numbers[PADDED_SIZE] if numbers[COPIED] and dx.size else 0, dy.dtype
    )
    tasks = len(sums)
    begin, end = my_range(tasks, team)
    for task in range(begin, end):
        first, last = share(images, tasks, task), share(images, tasks, task + 1)
        clear(total)
        partial = sums[task]
        if first == last or choosing:
            clear(partial[: dweight.size])
        for image in range(first, last, together):
            count = min(together, last - image)
            at, size = image * windows * outputs, count * windows * outputs
            d = before(dy[at : at + size], y, at, masks[: size if masked else 0])
            if dbias.size:
                add_up(d, total)
            dz = d
            if choosing:
                choose(d, place[at : at + size], not masked, chosen)
            if apart:
                dz = dense
                spread_windows(d, place[at : at + size], count, numbers, dz)
            if dweight.size:
                _add_weights(
                    *(x, image, count, numbers, taps, positions, lines, firsts, chosen, quads, dz),
                    *(padded, partial, weight_width, image > first),
                )
            if dx.size:
                give_inputs(
                    *(dz, image, count, numbers, positions, strips),
                    *(kernels, seen, inputs, dx, input_width),
                )
        if dbias.size:
            fold_tile(total, partial[dweight.size :])
    add_tasks(sums, dweight, dbias, team)
    restore_denormals(state)
