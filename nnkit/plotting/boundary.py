"""Decision regions in the plane."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnkit.plotting.labels import Labels, class_numbers, named
from nnkit.plotting.style import COLORS, GRAY, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Points = NDArray[np.floating[Any]]
Limits = tuple[float, float, float, float]

RESOLUTION = 600
"""Points of the grid along each axis."""

MARKERS = "os^Dv*Xp"


def decision_regions(
    predict: Callable[[Points], NDArray[Any]],
    x: Points | None = None,
    t: NDArray[np.integer[Any]] | None = None,
    class_names: Sequence[str] = (),
    *,
    limits: Limits | None = None,
    title: str = "Decision regions",
) -> Figure:
    """Draw which points of the plane get which answer, and the points that have a class, if given.

    Parameters
    ----------
    predict
        Gives points (n, 2) class numbers, (n,) or (n, 1): `Trainer.predict`, for instance.
    x, t
        Points (n, 2) with their class numbers (n,) or (n, 1), both or neither.
    class_names
        Names of the classes; where there is none, it is the number.
    limits
        Left, right, lower and upper end. None leaves some room around the points; without points
        it is -0.5 to 1.5, where the logic gates are.
    title
        Headline of the picture.

    Raises ValueError where shapes do not fit, ImportError without Matplotlib.
    """
    if (x is None) != (t is None):
        raise ValueError("x and t go together: give both or neither")
    points = np.empty((0, 2)) if x is None else np.asarray(x)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"points must have shape (n, 2), not {points.shape}")
    labels = np.empty(0, np.int64) if t is None else class_numbers("t", t, len(points))
    limits = limits or _around(points)
    grid = _grid(limits)
    answers = class_numbers("what predict returns", predict(grid), len(grid))
    names = named(class_names, answers, labels)
    figure = new_figure(5.2, 5.8, title)
    axes = figure.add_subplot()
    _draw_regions(axes, answers.reshape(RESOLUTION, RESOLUTION), limits, names)
    for label in np.unique(labels):
        _draw_points(axes, points[labels == label], int(label), names[label])
    axes.set_xlabel("$x_1$")
    axes.set_ylabel("$x_2$", rotation=0, labelpad=10)
    axes.set_box_aspect(1)
    axes.spines[:].set_color(GRAY)
    axes.tick_params(colors=GRAY)
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return figure


def _around(points: Points) -> Limits:
    if not len(points):
        return -0.5, 1.5, -0.5, 1.5
    low, high = points.min(axis=0), points.max(axis=0)
    room = np.where(high > low, 0.25 * (high - low), 1.0)
    (left, below), (right, above) = low - room, high + room
    return float(left), float(right), float(below), float(above)


def _grid(limits: Limits) -> Points:
    left, right, low, high = limits
    across, up = np.linspace(left, right, RESOLUTION), np.linspace(low, high, RESOLUTION)
    return np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)


def _draw_regions(axes: Axes, answers: Labels, limits: Limits, names: Sequence[str]) -> None:
    from matplotlib.colors import to_rgb

    left, right, low, high = limits
    colors = np.array([to_rgb(COLORS[k % len(COLORS)]) for k in range(len(names))])
    tints = 1 - 0.28 * (1 - colors)
    axes.imshow(tints[answers], extent=limits, origin="lower", aspect="auto")
    for k in np.unique(answers):
        axes.fill([], [], facecolor=tints[k], edgecolor=GRAY, label=f"answer {names[k]}")
        inside = np.asarray(answers == k, np.float64)
        if not inside.all():
            across = np.linspace(left, right, RESOLUTION)
            up = np.linspace(low, high, RESOLUTION)
            axes.contour(across, up, inside, [0.5], colors=[GRAY], linewidths=1.2)


def _draw_points(axes: Axes, points: Points, label: int, name: str) -> None:
    axes.scatter(
        points[:, 0],
        points[:, 1],
        s=90 if len(points) <= 10 else 24,
        marker=MARKERS[label % len(MARKERS)],
        color=COLORS[label % len(COLORS)],
        edgecolors="white",
        linewidths=0.8,
        label=f"is {name}",
        zorder=3,
    )
