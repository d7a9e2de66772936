"""Pictures changed at random: flipped, turned, scaled, moved, and a square of them cut out."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.backends.contract import FORWARDS, Array, Changes, Out
from nnkit.backends.numpy.philox import uniform

Numbers = np.ndarray[Any, Any]


def augment(x: Array, changes: Changes, key: int, counters: Array, out: Out, first: int) -> None:
    pictures = x[..., None] if x.ndim == 3 else x
    numbers = uniform(8 * len(x), key, int(counters[FORWARDS]), 8 * first)
    u = numbers.astype(np.float64).reshape(-1, 8)
    if not out.size:
        return
    rows, columns = _sources(u, changes, *x.shape[1:3])
    whole = not (changes.turn or changes.scale)
    changed = (_pixels if whole else _between)(pictures, rows, columns)
    changed[_cut(u, changes.cutout, *x.shape[1:3])] = 0
    out[...] = changed.reshape(out.shape)


def _sources(u: Numbers, changes: Changes, height: int, width: int) -> tuple[Numbers, Numbers]:
    """Return where each pixel comes from, row and column, of shapes that go with (n, h, w)."""
    u = u[:, :, None, None]
    row: Numbers = np.arange(height)[:, None] - _moved(u[:, 0], changes.shift)
    column: Numbers = np.arange(width) - _moved(u[:, 1], changes.shift)
    if changes.turn or changes.scale:
        angle = np.pi * changes.turn * (2 * u[:, 5] - 1)
        size = 1 + changes.scale * (2 * u[:, 6] - 1)
        along, across = np.cos(angle) / size, np.sin(angle) / size
        middle, centre = (height - 1) / 2, (width - 1) / 2
        row, column = row - middle, column - centre
        row, column = (
            middle + (along * row + across * column),
            centre + (along * column - across * row),
        )
    return row, np.where(u[:, 4] < changes.flip, width - 1 - column, column)


def _moved(u: Numbers, shift: int) -> Numbers:
    moved: Numbers = np.floor((2 * shift + 1) * u) - shift
    return moved


def _pixels(pictures: Array, rows: Numbers, columns: Numbers) -> Array:
    """Return the pixels at whole places, (n, height, width, channels); 0 outside."""
    n, height, width, _ = pictures.shape
    there = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    i = np.clip(rows, 0, height - 1).astype(np.intp)
    j = np.clip(columns, 0, width - 1).astype(np.intp)
    picked = pictures[np.arange(n)[:, None, None], i, j]
    picked[~there] = 0
    return picked


def _between(pictures: Array, rows: Numbers, columns: Numbers) -> Array:
    """Return what is between pixels, in proportion to how near each of the four is."""
    above, left = np.floor(rows), np.floor(columns)
    down = (rows - above).astype(pictures.dtype)[..., None]
    right = (columns - left).astype(pictures.dtype)[..., None]
    upper, lower = (
        (1 - right) * _pixels(pictures, row, left) + right * _pixels(pictures, row, left + 1)
        for row in (above, above + 1)
    )
    return (1 - down) * upper + down * lower


def _cut(u: Numbers, side: int, height: int, width: int) -> Numbers:
    """Return which pixels are in the square that is cut out, (n, height, width)."""
    top = np.floor(height * u[:, 2])[:, None] - side // 2
    left = np.floor(width * u[:, 3])[:, None] - side // 2
    row, column = np.arange(height), np.arange(width)
    rows, columns = (row >= top) & (row < top + side), (column >= left) & (column < left + side)
    square: Numbers = rows[:, :, None] & columns[:, None, :]
    return square
