"""The largest, and the sum, of each window of an image, and their gradients.

Images come with the channels of a row's pixels side by side: (n, height, width * channels). The
tables, see `lines`, say which rows and which runs of pixels the windows see. Every element is
written once, from all that it depends on, in the order of the window: its bits depend neither on
the number of threads nor on the other images.
"""

from typing import Any

from nnkit.kernels.numba.codegen.jit import inline, shared
from nnkit.kernels.numba.codegen.windows import chosen_along, largest_along, mean_along
from nnkit.kernels.numba.lines import (
    APART,
    BEGIN,
    COUNT,
    FIRST,
    MOVE,
    NUMBER,
    NUMBER_STEP,
    PLACES,
    STEP,
    WIDTH,
)
from nnkit.kernels.numba.runtime.team import my_range

GRAIN = 1 << 14
"""Elements worth a thread."""


@inline
def _seen(source: Any, rows: Any, columns: Any, i: int, k: int, c: int, width: int) -> Any:
    """Where in flat images the first thing lies that row i of all sees in run k; and the taps.

    These are what `codegen.windows` takes. `width` is that of the windows.
    """
    row = i % len(rows)
    image_row = i // len(rows) * source.shape[1] + rows[row, FIRST]
    at = image_row * source.shape[2] + columns[k, FIRST] * c
    of_rows = rows[row, COUNT], rows[row, STEP] * source.shape[2], rows[row, NUMBER_STEP] * width
    of_columns = columns[k, COUNT], columns[k, STEP] * c, columns[k, NUMBER_STEP]
    return at, (*of_rows, *of_columns, rows[row, NUMBER] * width + columns[k, NUMBER])


@inline
def _run(out: Any, columns: Any, i: int, k: int, c: int) -> Any:
    """Where in flat images run k of row i of all begins; and what `codegen.windows` takes of it."""
    places = columns[k, PLACES], columns[k, APART] * c, columns[k, MOVE] * c
    return i * out.shape[2] + columns[k, BEGIN] * c, (columns[k, WIDTH] * c, *places)


@shared(GRAIN)
def max_pool(
    x: Any, rows: Any, columns: Any, c: int, width: int, y: Any, place: Any, team: Any
) -> None:
    """Largest of each window, `width` wide, and its number within the window."""
    source, out = (x.reshape(-1),), (y.reshape(-1), place.reshape(-1))
    first, last = my_range(len(y) * len(rows), team)
    for i in range(first, last):
        for k in range(len(columns)):
            at, taps = _seen(x, rows, columns, i, k, c, width)
            here, run = _run(y, columns, i, k, c)
            largest_along(source, at, out, here, (), run, taps)


@shared(GRAIN)
def max_pool_backward(
    dy: Any, place: Any, rows: Any, columns: Any, c: int, width: int, dx: Any, team: Any
) -> None:
    """Sum of the dy whose place is here; the tables are those of the pixels."""
    source, out = (dy.reshape(-1), place.reshape(-1)), (dx.reshape(-1),)
    first, last = my_range(len(dx) * len(rows), team)
    for i in range(first, last):
        for k in range(len(columns)):
            at, taps = _seen(dy, rows, columns, i, k, c, width)
            here, run = _run(dx, columns, i, k, c)
            chosen_along(source, at, out, here, (), run, taps)


@shared(GRAIN)
def average_pool(
    x: Any, rows: Any, columns: Any, c: int, divisor: float, y: Any, team: Any
) -> None:
    """Sum of each window over `divisor`; with the tables of the pixels it is the gradient."""
    source, out, others = (x.reshape(-1),), (y.reshape(-1),), (y.dtype.type(divisor),)
    first, last = my_range(len(y) * len(rows), team)
    for i in range(first, last):
        for k in range(len(columns)):
            at, taps = _seen(x, rows, columns, i, k, c, 0)
            here, run = _run(y, columns, i, k, c)
            mean_along(source, at, out, here, others, run, taps)


average_pool_backward = average_pool
"""The gradient is such a sum too: of the places that see a pixel; see lines.py."""
