"""Images with what a network says they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnkit.plotting.images import Grid
from nnkit.plotting.labels import class_numbers, named
from nnkit.plotting.pixels import gray_map
from nnkit.plotting.style import VERMILLION, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def predicted_images(
    images: NDArray[Any],
    labels: NDArray[np.integer[Any]],
    answers: NDArray[np.integer[Any]],
    class_names: Sequence[str] = (),
    *,
    count: int = 40,
    only_wrong: bool = False,
    ink: bool | None = None,
    title: str = "Answers",
) -> Figure:
    """Draw images with the answers below them; a wrong one is framed, with the truth below it.

    Parameters
    ----------
    images
        (n, height, width), gray, or (n, height, width, 3), red, green and blue: bytes, or real
        numbers of any scale.
    labels, answers
        What they are and what the network says, class numbers (n,).
    class_names
        Names of the classes; where there is none, it is the number.
    count
        How many images to draw at most, the first ones.
    only_wrong
        Whether to leave out images with a right answer.
    ink
        Whether high values of gray images are drawn dark, as digits are, and not light, as
        photographs are. None: whether half of the pixels at the border have the lowest value.
    title
        Headline of the picture.

    Raises ValueError where shapes do not fit, and where there is nothing to draw; ImportError
    without Matplotlib.
    """
    if images.ndim != 3 and images.shape[3:] != (3,):
        raise ValueError(
            "images must have shape (n, height, width) or (n, height, width, 3), not "
            f"{images.shape}"
        )
    labels = class_numbers("labels", labels, len(images))
    answers = class_numbers("answers", answers, len(images))
    shown = np.flatnonzero(labels != answers) if only_wrong else np.arange(len(labels))
    shown = shown[:count]
    if not len(shown):
        raise ValueError("there is no image with a wrong answer" if only_wrong else "no images")
    names = named(class_names, labels, answers)
    long = max(len(names[k]) for k in (*labels[shown], *answers[shown])) > 3
    columns = min(len(shown), 8)
    chosen = images[shown]
    width = chosen.shape[2] / chosen.shape[1]
    grid = Grid(len(shown), columns, width, (0.5 if long else 0.2, 0.55))
    across, down = grid.size()
    figure = new_figure(max(5, 0.85 * across + 0.3), 0.85 * down + 0.9, title)
    axes = figure.add_subplot()
    low, high = (0, 255) if images.dtype == np.uint8 else (images.min(), images.max())
    if images.ndim == 4:  # imshow scales gray ones alone
        chosen = ((chosen - low) / ((high - low) or 1)).astype(np.float64)
    grid.draw(axes, chosen, cmap=gray_map(images, ink), vmin=low, vmax=high)
    for i, (label, answer) in enumerate(zip(labels[shown], answers[shown], strict=True)):
        truth = None if label == answer else names[label]
        _annotate(axes, grid.place(i), width, names[answer], truth)
    if (labels != answers)[shown].any():
        figure.supxlabel("framed: a wrong answer, and what it is", fontsize=9, color=VERMILLION)
    return figure


def _annotate(
    axes: Axes, place: tuple[float, float], width: float, answer: str, truth: str | None
) -> None:
    from matplotlib.patches import Rectangle

    x, y = place[0] + width / 2, place[1] + 1.06
    if truth is None:
        axes.text(x, y, answer, ha="center", va="top", fontsize=9)
        return
    text = f"{answer}\nis {truth}"
    axes.text(x, y, text, ha="center", va="top", fontsize=9, color=VERMILLION, fontweight="bold")
    frame = Rectangle(place, width, 1, fill=False, edgecolor=VERMILLION, linewidth=2)
    axes.add_patch(frame)
