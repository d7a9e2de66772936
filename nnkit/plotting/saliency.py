"""Which pixels of an image a network's answer depends on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnkit.layers import Sequential
from nnkit.plotting.pixels import batch_of, channels_last, draw_image, frame
from nnkit.plotting.style import headline, new_figure
from nnkit.tracing import Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Gradient = NDArray[np.float64]


def saliency_map(
    model: Sequential,
    image: Any,
    label: int | None = None,
    class_names: Sequence[str] = (),
    *,
    ink: bool | None = None,
    title: str | None = None,
) -> Figure:
    """Draw an image, and the gradient of a class's score by its pixels.

    A pixel is red where more of it raises the score, and blue where it lowers it. How large the
    gradient is, of the channel where it is largest, is the saliency of K. Simonyan, A. Vedaldi and
    A. Zisserman, "Deep inside convolutional networks" (2013). The score is what the network gives
    before softmax.

    Parameters
    ----------
    model
        A model for images with an output for each class; it is used in evaluation mode, and stays
        as it is.
    image
        (height, width) or (height, width, channels), in the scale that the model was fitted on.
    label
        Number of the class; None: the network's answer.
    class_names
        Names of the classes; where there is none, it is the number.
    ink
        Whether high values of a gray image are drawn dark, as digits are, and not light, as
        photographs are. None: whether half of the pixels at the border have the lowest value.
    title
        Headline of the picture.

    Raises ValueError for an image that the model does not take, and for a class that it does not
    have; ImportError without Matplotlib.
    """
    image = np.asarray(image)
    answer, gradient = score_gradient(model, image, label)
    name = class_names[answer] if answer < len(class_names) else str(answer)
    what = f"the score of {name}" + (", its answer," if label is None else "")
    figure = new_figure(8.4, 3.5, title or f"Where {what} comes from")
    panels = figure.subplots(1, 3)
    draw_image(panels[0], image, ink)
    slope = channels_last(gradient)
    headline(panels[0], "image", "x".join(map(str, slope.shape[:2])))
    total = slope.sum(axis=2)
    reach = float(abs(total).max()) or 1.0
    _draw(panels[1], total, "RdBu_r", -reach, reach)
    headline(panels[1], "gradient", "red: more here raises the score")
    largest = float(abs(slope).max()) or 1.0
    _draw(panels[2], abs(slope).max(axis=2), "gray_r", 0, largest)
    headline(panels[2], "saliency", f"|gradient|, up to {largest:.3g}")
    return figure


def score_gradient(model: Sequential, image: Any, label: int | None) -> tuple[int, Gradient]:
    """The class, and the gradient of its score by the image, in the image's shape."""
    answer, dx = Scores(model).gradient(batch_of(model, image), label)
    return answer, dx.reshape(np.shape(image)).astype(np.float64)


def _draw(axes: Axes, values: Gradient, colors: str, low: float, high: float) -> None:
    axes.imshow(values, cmap=colors, vmin=low, vmax=high, interpolation="nearest")
    frame(axes)
