"""The weights of a first layer, as images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnkit.layers import Linear, Sequential
from nnkit.plotting.images import Grid, even_columns
from nnkit.plotting.style import new_figure
from nnkit.showing.words import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def first_layer_weights(
    model: Sequential,
    image_shape: tuple[int, int],
    *,
    count: int = 64,
    title: str | None = None,
) -> Figure:
    """Draw the weights that lead to the units of the first `Linear`, each unit's as an image.

    A unit fires where an image is bright on its positive (red) weights and dark on its negative
    (blue) ones. All images have one colour scale, with 0 white.

    Parameters
    ----------
    model
        A model whose first `Linear` has weights (height * width, units).
    image_shape
        Height and width in pixels.
    count
        How many units to draw at most, the first ones.
    title
        Headline of the picture.

    Raises ValueError without a `Linear`, or where its inputs are no such images; ImportError
    without Matplotlib.
    """
    linear = next((layer for layer in model.leaves() if isinstance(layer, Linear)), None)
    if linear is None:
        raise ValueError("the model has no Linear layer whose weights could be drawn")
    height, width = image_shape
    if linear.in_features != height * width:
        raise ValueError(
            f"{linear!r} takes rows of {linear.in_features} numbers, "
            f"not images of {height}x{width} pixels"
        )
    images = model.backend.to_numpy(linear.W.value)[:, :count].T.reshape(-1, height, width)
    n = len(images)
    if title is None:
        total = counted(linear.out_features, "unit")
        some = f"{n} of {total}" if n < linear.out_features else total
        title = f"Weights of the first layer, {some}"
    grid = Grid(n, even_columns(n), width / height, (0.1, 0.1))
    across, down = grid.size()
    figure = new_figure(max(5, 0.8 * across + 1.3), max(2.2, 0.8 * down + 0.7), title)
    axes = figure.add_subplot()
    largest = float(abs(images).max()) or 1.0
    drawn = grid.draw(axes, images, cmap="RdBu_r", vmin=-largest, vmax=largest)
    bar = figure.colorbar(drawn, ax=axes, label="weight", shrink=0.7, aspect=30)
    bar.outline.set_visible(False)
    return figure
