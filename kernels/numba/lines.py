"""What windows see of an image, along one of its axes: a table that pooling goes by.

It is made once for a geometry, outside of the kernels. The same table, read the other way round,
says by which windows a pixel is seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

BEGIN, WIDTH, PLACES, APART, FIRST, MOVE, STEP, NUMBER, NUMBER_STEP, COUNT = range(10)
"""Columns of a table. A row is of a run of PLACES places, WIDTH pixels each, that begin at BEGIN
and are APART. The first sees COUNT things, FIRST, FIRST + STEP and so on, with the numbers NUMBER,
NUMBER + NUMBER_STEP and so on within the window, which increase; the others see the same numbers of
what lies MOVE further from place to place."""

Table = np.ndarray[Any, Any]
Seen = list[tuple[int, int]]


@cache
def seen_by_places(
    length: int, places: int, size: int, stride: int, padding: int, dilation: int, runs: bool
) -> Table:
    """What the places of an output see of so many pixels. Without `runs` each has its own row."""
    seen = (
        [(place * stride - padding + number * dilation, number) for number in range(size)]
        for place in range(places)
    )
    return _table([[(at, q) for at, q in one if 0 <= at < length] for one in seen], runs)


@cache
def seen_by_pixels(
    length: int, places: int, size: int, stride: int, padding: int, dilation: int, runs: bool
) -> Table:
    """The places of an output that see each of so many pixels."""
    seen = (
        [(pixel + padding - number * dilation, number) for number in range(size)]
        for pixel in range(length)
    )
    there = ([(at // stride, q) for at, q in one if at % stride == 0] for one in seen)
    return _table([[(at, q) for at, q in one if 0 <= at < places] for one in there], runs)


def _table(seen: list[Seen], runs: bool) -> Table:
    """Rows of runs: of the places that see as many things, with the same numbers."""
    alike: dict[Any, list[tuple[int, int]]] = {}
    for place, one in enumerate(seen):
        first, *what = _what(one)
        alike.setdefault((*what, None if runs else place), []).append((place, first))
    table = [
        _row(run, what) for (*what, _), all_of_them in alike.items() for run in _even(all_of_them)
    ]
    return np.array(table, np.int64).reshape(-1, COUNT + 1)


def _what(one: Seen) -> list[int]:
    """FIRST, and what is from STEP on, of what one place sees."""
    if not one:
        return [0, 0, 0, 0, 0]
    (first, number), (second, other) = one[0], one[min(1, len(one) - 1)]
    return [first, second - first, number, other - number, len(one)]


def _even(places: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Divide places, each with what it sees first, into runs that go on evenly."""
    run = places[:1]
    for place in places[1:]:
        if len(run) == 1 or _distance(run[-1], place) == _distance(*run[:2]):
            run.append(place)
        else:
            yield run
            run = [place]
    yield run


def _distance(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return other[0] - one[0], other[1] - one[1]


def _row(run: list[tuple[int, int]], what: list[int]) -> list[int]:
    begin, first = run[0]
    apart, move = _distance(*run[:2]) if len(run) > 1 else (0, 0)
    if apart == move == 1:  # side by side, and so is what they see: one wide place
        return [begin, len(run), 1, 0, first, 0, *what]
    return [begin, 1, len(run), apart, first, move, *what]
