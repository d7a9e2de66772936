"""The filters of a convolution, as images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnkit.layers import Sequential
from nnkit.plotting.convolutions import chosen
from nnkit.plotting.images import Grid, even_columns
from nnkit.plotting.pixels import COLOURS
from nnkit.plotting.style import GRAY, new_figure
from nnkit.showing.words import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SEEN = 16
"""Of a filter with more channels than this, the first ones are drawn."""


def convolution_filters(
    model: Sequential,
    *,
    layer: str | int | None = None,
    count: int = 32,
    title: str | None = None,
) -> Figure:
    """Draw the filters of a convolution.

    A filter answers to places of an image that are bright on its positive (red) weights and dark on
    its negative (blue) ones; all have one colour scale, with 0 white. Filters for images in colour
    are drawn in colour: gray is 0, and what is red answers to red. Others for several channels are
    a row of images, one for each channel.

    Parameters
    ----------
    model
        A model with a `Conv2d`.
    layer
        The path of the convolution, such as 1 or "3.1", as `summary` names it; None: the first.
    count
        How many filters to draw at most, the first ones.
    title
        Headline of the picture.

    Raises ValueError without a convolution, or where the layer is none; ImportError without
    Matplotlib.
    """
    path, convolution = next(iter(chosen(model, layer).items()))
    weights = model.backend.to_numpy(convolution.W.value).astype(np.float64)
    filters = np.moveaxis(weights, 3, 0)[:count]
    n, total = len(filters), convolution.out_channels
    if title is None:
        some = f"{n} of {total} filters" if n < total else counted(n, "filter")
        title = f"Layer {path}, {convolution!r}: {some}"
    largest = float(abs(filters).max()) or 1.0
    if filters.shape[3] == COLOURS:
        return _in_colour(0.5 + filters / (2 * largest), title)
    return _by_channel(filters, largest, title)


def _in_colour(images: NDArray[Any], title: str) -> Figure:
    n, height, width, _ = images.shape
    grid = Grid(n, even_columns(n), width / height, (0.1, 0.1))
    across, down = grid.size()
    figure = new_figure(max(5, 0.7 * across + 0.6), max(2.2, 0.7 * down + 1), title)
    grid.draw(figure.add_subplot(), images)
    figure.supxlabel(
        "gray is 0; each pixel has a weight for red, for green and for blue", fontsize=9, color=GRAY
    )
    return figure


def _by_channel(filters: NDArray[Any], largest: float, title: str) -> Figure:
    n, height, width, channels = filters.shape
    seen = min(channels, SEEN)
    images = np.moveaxis(filters, 3, 1)[:, :seen].reshape(n * seen, height, width)
    columns = even_columns(n) if channels == 1 else seen
    gap = (0.12, 0.12 if channels == 1 else 0.35)
    grid = Grid(len(images), columns, width / height, gap)
    across, down = grid.size()
    cell = 0.7 if channels == 1 else 0.42
    figure = new_figure(max(5, cell * across + 1.8), max(2.2, cell * down + 1), title)
    axes = figure.add_subplot()
    drawn = grid.draw(axes, images, cmap="RdBu_r", vmin=-largest, vmax=largest)
    grid.frame(axes)
    if channels > 1:
        _number(axes, grid, seen, channels)
    bar = figure.colorbar(drawn, ax=axes, label="weight", shrink=0.7, aspect=30)
    bar.outline.set_visible(False)
    return figure


def _number(axes: Axes, grid: Grid, seen: int, channels: int) -> None:
    """Say which filter a row is, and which channels the columns are."""
    how: dict[str, Any] = {"color": GRAY, "fontsize": 8, "clip_on": False}
    for i in range(0, grid.n, seen):
        left, top = grid.place(i)
        axes.text(left - 0.15, top + 0.5, str(i // seen), ha="right", va="center", **how)
    some = f"the first {seen} of {channels}" if seen < channels else f"the {channels}"
    middle = grid.size()[0] / 2
    axes.text(middle, -0.25, f"{some} channels that each filter sees", ha="center", **how)
