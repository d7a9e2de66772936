"""What the filters of a network show of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nnkit.layers import Sequential
from nnkit.plotting.convolutions import Maps, activated, chosen, outputs
from nnkit.plotting.images import Grid
from nnkit.plotting.pixels import batch_of, draw_image
from nnkit.plotting.style import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 8
"""Maps beside each other."""

CELL = 0.85
"""Inches that the height of a map takes."""

LINE = 0.35
"""Inches for what is written above the maps of a layer."""


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
    is white, and all maps of a layer have one scale.

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
    heights = [1.2, *(grid.size()[1] for grid in grids)]
    figure = new_figure(
        max(5, CELL * across + 0.4), CELL * sum(heights) + LINE * len(heights) + 0.7, title
    )
    rows = figure.subplots(len(heights), gridspec_kw={"height_ratios": heights})
    draw_image(rows[0], image, ink)
    rows[0].set_anchor("W")
    _name(rows[0], f"the image, {'x'.join(map(str, image.shape))}")
    for axes, headline, grid, maps in zip(rows[1:], headlines, grids, drawn, strict=True):
        _draw(axes, grid, maps)
        axes.set_xlim(-0.05, across)
        _name(axes, headline)
    return figure


def _described(maps: Maps, count: int) -> str:
    n, height, width = maps.shape
    some = f"{count} of {n}" if count < n else str(n)
    low, high = maps[:count].min(), maps[:count].max()
    return f"{some} maps of {height}x{width}, from {low:.3g} to {high:.3g}"


def _draw(axes: Axes, grid: Grid, maps: Maps) -> None:
    largest = float(abs(maps).max()) or 1.0
    grid.draw(axes, maps, cmap="RdBu_r", vmin=-largest, vmax=largest)
    grid.frame(axes)
    axes.set_anchor("W")


def _name(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=9)
