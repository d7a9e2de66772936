"""The confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnkit.plotting.labels import class_numbers, named
from nnkit.plotting.style import BLUE, GRAY, VERMILLION, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NUMBERED = 30
"""With more classes than this there is no room for numbers in the cells."""


def confusion_matrix(
    labels: NDArray[np.integer[Any]],
    answers: NDArray[np.integer[Any]],
    class_names: Sequence[str] = (),
    *,
    title: str = "Confusion matrix",
) -> Figure:
    """Draw how many images of each class (rows) got which answer (columns).

    Right answers, on the diagonal, are blue; of wrong ones, the darker the more there are.

    Parameters
    ----------
    labels, answers
        What they are and what the network says, class numbers (n,), n at least 1.
    class_names
        Names of the classes; where there is none, it is the number.
    title
        Headline of the picture.

    Raises ValueError where shapes do not fit, ImportError without Matplotlib.
    """
    if not len(labels):
        raise ValueError("there is no answer to count")
    labels = class_numbers("labels", labels, len(labels))
    answers = class_numbers("answers", answers, len(labels))
    names = named(class_names, labels, answers)
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, (labels, answers), 1)
    size = min(12, 3 + 0.5 * len(names))
    figure = new_figure(size, size, title)
    axes = figure.add_subplot()
    _draw(axes, counts)
    _name_classes(axes, names)
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")
    axes.tick_params(length=0)
    axes.spines[:].set_color(GRAY)
    return figure


def _name_classes(axes: Axes, names: Sequence[str]) -> None:
    step = -(-len(names) // (2 * NUMBERED))
    ticks, shown = range(0, len(names), step), names[::step]
    size = 10 if len(names) <= NUMBERED else 7
    turned = max(map(len, shown)) > 3
    axes.set_xticks(
        ticks,
        shown,
        fontsize=size,
        rotation=45 if turned else 0,
        rotation_mode="anchor",
        ha="right" if turned else "center",
        va="center" if turned else "top",
    )
    axes.set_yticks(ticks, shown, fontsize=size)


def _draw(axes: Axes, counts: NDArray[np.int64]) -> None:
    from matplotlib.colors import to_rgb

    wrong = counts * (1 - np.eye(len(counts), dtype=np.int64))
    shade = 0.75 * wrong / max(1, wrong.max())
    vermillion, white = np.array(to_rgb(VERMILLION)), np.ones(3)
    cells = white + shade[..., None] * (vermillion - white)
    diagonal = np.arange(len(counts))
    cells[diagonal, diagonal] = white + 0.3 * (np.array(to_rgb(BLUE)) - white)
    axes.imshow(cells, interpolation="nearest")
    if len(counts) > NUMBERED:
        return
    for row, column in zip(*counts.nonzero(), strict=True):
        text = str(counts[row, column])
        size = 9 if len(text) <= 4 else 7
        axes.text(column, row, text, ha="center", va="center", fontsize=size)
