"""What the filters of a network show of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nnkit.layers import Sequential
from nnkit.plotting.convolutions import Maps, activated, chosen, outputs
from nnkit.plotting.images import Grid
from nnkit.plotting.pixels import batch_of, draw_image
from nnkit.plotting.style import new_figure
from nnkit.showing.words import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 8
"""Maps beside each other."""

CELL = 0.85
"""Inches that the height of a map takes."""

LINE = 0.35
"""Inches for what is written above the maps of a layer."""

WRITTEN = 6.8
"""Inches that it takes across."""

TALL = 1.5
"""How many times as tall as wide a picture may be, unless it has one layer beside the other."""


def feature_maps(
    model: Sequential,
    image: Any,
    *,
    layer: str | int | None = None,
    count: int = 16,
    ink: bool | None = None,
    title: str = "What the filters show",
) -> Figure:
    """Draw an image and below it what each filter of a model's convolutions shows of it.

    They are drawn as they are behind the activation, red where positive and blue where negative; 0
    is white, and all maps of a layer have one scale. Those of deep networks are in several columns,
    to be read downwards.

    Parameters
    ----------
    model
        A model with a `Conv2d`; it is used in evaluation mode, and stays as it is.
    image
        (height, width) or (height, width, channels), in the scale that the model was fitted on.
    layer
        The path of one convolution, such as 1 or "3.1", as `summary` names it; None: all.
    count
        How many maps of each convolution to draw at most, the first ones.
    ink
        Whether high values of a gray image are drawn dark, as digits are, and not light, as
        photographs are. None: whether half of the pixels at the border have the lowest value.
    title
        Headline of the picture.

    Raises ValueError without a convolution, where the layer is none, and for an image that the
    model does not take; ImportError without Matplotlib.
    """
    found = chosen(model, layer)
    image = np.asarray(image)
    x = batch_of(model, image)
    ends = activated(model, x.shape[1:])
    seen = outputs(model, x, {ends[path] for path in found})
    layers = dict(model.walk())
    headlines, grids, drawn = [], [], []
    for path, convolution in found.items():
        maps = np.moveaxis(seen[ends[path]], 2, 0)
        behind = "" if ends[path] == path else f", {layers[ends[path]]!r}"
        headlines.append(f"{path}: {convolution!r}{behind}: {_described(maps, count)}")
        n, height, width = maps[:count].shape
        grids.append(Grid(n, min(n, COLUMNS), width / height, (0.08 * width / height, 0.08)))
        drawn.append(maps[:count])
    across = max(grid.size()[0] for grid in grids)
    width, columns, rows = _arranged([grid.size()[1] for grid in grids], across)
    heights = [1.2, *rows]
    figure = new_figure(width + 0.4, CELL * sum(heights) + LINE * len(heights) + 0.7, title)
    places = figure.add_gridspec(len(heights), columns, height_ratios=heights)
    first = figure.add_subplot(places[0, 0])
    draw_image(first, image, ink)
    first.set_anchor("W")
    _name(first, f"the image, {'x'.join(map(str, image.shape))}")
    for i, (headline, grid, maps) in enumerate(zip(headlines, grids, drawn, strict=True)):
        column, row = divmod(i, len(rows))
        axes = figure.add_subplot(places[1 + row, column])
        _draw(axes, grid, maps)
        axes.set_xlim(-0.05, across)
        _name(axes, headline)
    return figure


def _arranged(heights: list[float], across: float) -> tuple[float, int, list[float]]:
    """Width in inches, columns and heights of the rows, for layers of such heights downwards."""
    width, columns, rows = max(4.6, CELL * across), 1, heights
    while len(rows) > 1 and CELL * sum(rows) + LINE * len(rows) > TALL * width:
        columns += 1
        n = -(-len(heights) // columns)
        rows = [max(heights[i::n]) for i in range(n)]
        width = columns * max(WRITTEN, CELL * across)
    return width, columns, rows


def _described(maps: Maps, count: int) -> str:
    n, height, width = maps.shape
    some = f"{count} of {counted(n, 'map')}" if count < n else counted(n, "map")
    low, high = maps[:count].min(), maps[:count].max()
    return f"{some} of {height}x{width}, from {low:.3g} to {high:.3g}"


def _draw(axes: Axes, grid: Grid, maps: Maps) -> None:
    largest = float(abs(maps).max()) or 1.0
    grid.draw(axes, maps, cmap="RdBu_r", vmin=-largest, vmax=largest)
    grid.frame(axes)
    axes.set_anchor("W")


def _name(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=9)
