"""Depthwise convolutions: each channel by itself, so that there is no product of matrices.

Places side by side are taken together: a run of them is one long vector of all their channels,
which the weights, repeated for each place, are multiplied with. With a stride along the row a run
is one place.
"""

from typing import Any

import numpy as np

from nnkit.kernels.numba.backward import before
from nnkit.kernels.numba.codegen.denormals import flush_denormals, restore_denormals
from nnkit.kernels.numba.codegen.jit import inline, shared
from nnkit.kernels.numba.gathering import bordered, clear, copy, pad, unpad
from nnkit.kernels.numba.geometry import COPIED, IMAGE, OUTPUTS, PADDED, TOGETHER, WINDOWS
from nnkit.kernels.numba.runtime.memory import ME
from nnkit.kernels.numba.runtime.tasks import add_rows, share
from nnkit.kernels.numba.runtime.team import barrier, my_range

GRAIN = 1 << 15
"""Multiplications worth a thread."""
RUN = 256
"""Numbers of a run: as long a vector as leaves the weights in the first-level cache."""


@inline
def _repeat(row: Any, out: Any) -> None:
    """Fill `out` with copies of a row."""
    for i in range(0, out.size, row.size):
        for j in range(row.size):
            out[i + j] = row[j]


@inline
def _repeated(weight: Any, channels: int, length: int) -> Any:
    """The weights of each element of a kernel, again and again: (elements, length)."""
    out = np.empty((weight.size // channels, length), weight.dtype)
    for i in range(len(out)):
        _repeat(weight[i * channels : (i + 1) * channels], out[i])
    return out


@inline
def _multiply_add(a: Any, b: Any, out: Any) -> None:
    for i in range(out.size):
        out[i] += a[i] * b[i]


@inline
def _finish(bias: Any, floor: Any, y: Any) -> None:
    for i in range(y.size):
        value = y[i] + bias[i]
        y[i] = floor if value < floor else value


@shared(GRAIN)
def depthwise(
    x: Any,
    weight: Any,
    bias: Any,
    y: Any,
    numbers: Any,
    positions: Any,
    taps: Any,
    images: int,
    run: int,
    floor: float,
    team: Any,
) -> None:
    """``y = max(x * weight + bias, floor)`` of flat arrays, each channel by itself."""
    first, last = my_range(images, team)
    together, windows, length = numbers[TOGETHER], numbers[WINDOWS], run * numbers[OUTPUTS]
    padded = np.zeros(together * numbers[PADDED] if numbers[COPIED] != 0 else 0, x.dtype)
    kernels, biases = _repeated(weight, bias.size, length), np.empty(length, x.dtype)
    _repeat(bias, biases)
    low = x.dtype.type(floor)
    for image in range(first, last, together):
        count = min(together, last - image)
        a, a_at = bordered(x, numbers, image, count, padded)
        for i in range(count * windows // run):
            at = (image * windows // run + i) * length
            out = y[at : at + length]
            clear(out)
            for k in range(taps.size):
                begin = a_at + positions[i * run] + taps[k]
                _multiply_add(a[begin : begin + length], kernels[k], out)
            _finish(biases, low, out)


@inline
def _fold(runs: Any, row: Any) -> None:
    """Add up the places of a run."""
    clear(row)
    for i in range(0, runs.size, row.size):
        for j in range(row.size):
            row[j] += runs[i + j]


@shared(GRAIN)
def depthwise_backward(
    dy: Any,
    x: Any,
    weight: Any,
    y: Any,
    dweight: Any,
    dbias: Any,
    dx: Any,
    numbers: Any,
    positions: Any,
    taps: Any,
    images: int,
    run: int,
    masked: bool,
    sums: Any,
    team: Any,
) -> None:
    """Give the gradients of `depthwise`; an empty dx is not wanted.

    `sums` (tasks, elements + 1, channels) receives what each task adds up for weights and bias.
    """
    state = flush_denormals()
    together, windows, channels = numbers[TOGETHER], numbers[WINDOWS], numbers[OUTPUTS]
    length, copied, wanted = run * channels, numbers[COPIED] != 0, dx.size > 0
    padded = np.zeros(together * numbers[PADDED] if copied else 0, x.dtype)
    inputs = np.empty(together * numbers[PADDED] if copied and wanted else 0, x.dtype)
    kernels = _repeated(weight, channels, length)
    totals, masks = np.empty((taps.size + 1, length), x.dtype), np.empty(length * masked, x.dtype)
    ones = np.ones(length, x.dtype)
    begin, end = my_range(len(sums), team)
    for task in range(begin, end):
        first, last = share(images, len(sums), task), share(images, len(sums), task + 1)
        clear(totals.reshape(totals.size))
        for image in range(first, last, together):
            count = min(together, last - image)
            own = image * numbers[IMAGE]
            a, gradients, at = x, dx, own
            if copied:
                pad(x, numbers, image, count, padded)
                a, gradients, at = padded, inputs, 0
            clear(gradients[at : at + count * numbers[PADDED] if wanted else at])
            for i in range(count * windows // run):
                there = (image * windows // run + i) * length
                dz = before(dy[there : there + length], y, there, masks)
                _multiply_add(dz, ones, totals[taps.size])
                for k in range(taps.size):
                    place = at + positions[i * run] + taps[k]
                    _multiply_add(a[place : place + length], dz, totals[k])
                    if wanted:
                        _multiply_add(dz, kernels[k], gradients[place : place + length])
            if copied and wanted:
                unpad(inputs, numbers, image, count, dx)
        for k in range(taps.size + 1):
            _fold(totals[k], sums[task, k])
    barrier(team)
    if team[ME] == 0:
        both = np.empty((taps.size + 1) * channels, x.dtype)
        add_rows(sums.reshape(len(sums), both.size), both)
        copy(both, dweight)
        copy(both[taps.size * channels :], dbias)
    restore_denormals(state)
