"""Paths of optimizers down a valley."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnkit.layers import Linear, Sequential
from nnkit.optimizers import SGD, AdaGrad, Adam, Optimizer, RMSProp
from nnkit.plotting.labels import literal
from nnkit.plotting.style import BLUE, VERMILLION, headline, new_figure, panels, plain
from nnkit.showing.words import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Path = NDArray[np.float64]


def optimizer_paths(
    optimizers: Mapping[str, Optimizer] | None = None,
    *,
    start: tuple[float, float] = (-7.0, 2.0),
    steps: int = 30,
    title: str = "Down the valley f(x, y) = x²/20 + y²",
) -> Figure:
    """Draw the way that optimizers take down ``f(x, y) = x^2 / 20 + y^2``, each in a panel.

    The valley is steep across and nearly flat along, as losses are. After K. Saitoh, "Deep Learning
    from Scratch" (2016), section 6.1.

    Parameters
    ----------
    optimizers
        New optimizers under the names that they are to have. None takes `default_optimizers`.
    start
        Where all begin.
    steps
        How many steps each takes, at least 1.
    title
        Headline of the picture.

    Raises ValueError for no optimizer or no step, ImportError without Matplotlib.
    """
    chosen = default_optimizers() if optimizers is None else optimizers
    if not chosen or steps < 1:
        raise ValueError("there is no path without an optimizer and a step")
    rows, columns = panels(len(chosen), 3)
    figure = new_figure(4.0 * columns, 2.8 * rows + 0.6, title)
    for i, (name, optimizer) in enumerate(chosen.items()):
        axes = figure.add_subplot(rows, columns, i + 1)
        points = path(optimizer, start, steps)
        _draw(axes, points)
        end = f"learning rate {optimizer.lr:g}; f = {height(points[-1]):.2g}"
        end += f" after {counted(steps, 'step')}"
        headline(axes, literal(name), end)
    return figure


def default_optimizers() -> dict[str, Optimizer]:
    """One of each kind, with learning rates that suit this valley."""
    return {
        "SGD": SGD(0.95),
        "momentum": SGD(0.1, momentum=0.9),
        "Nesterov": SGD(0.1, momentum=0.9, nesterov=True),
        "AdaGrad": AdaGrad(1.5),
        "RMSProp": RMSProp(0.3, alpha=0.9),
        "Adam": Adam(0.3),
    }


def height(points: Any) -> Any:
    """f at points (..., 2)."""
    return points[..., 0] ** 2 / 20 + points[..., 1] ** 2


def path(optimizer: Optimizer, start: tuple[float, float], steps: int) -> Path:
    """Points (steps + 1, 2) from `start` on: the weights of a layer, updated by the gradient."""
    layer = Linear(1, 2, bias=False, init=np.array([start]))
    model = Sequential(layer, dtype="float64", backend="numpy", seed=0)
    points = [layer.W.value[0].copy()]
    for _ in range(steps):
        x, y = points[-1]
        layer.W.grad[...] = x / 10, 2 * y
        optimizer.step(model)
        points.append(layer.W.value[0].copy())
    return np.array(points)


def _draw(axes: Axes, points: Path) -> None:
    from matplotlib.ticker import MaxNLocator

    across = np.linspace(min(-8.0, points[:, 0].min() - 1), max(8.0, points[:, 0].max() + 1), 200)
    up = np.linspace(min(-3.0, points[:, 1].min() - 1), max(3.0, points[:, 1].max() + 1), 200)
    heights = height(np.stack(np.meshgrid(across, up), axis=-1))
    axes.contour(across, up, heights, np.arange(0.5, 20) ** 2 / 5, colors="0.85", linewidths=0.8)
    axes.plot(*points.T, "o-", color=BLUE, markersize=3, linewidth=1.2, label="path")
    axes.plot(0, 0, "+", color=VERMILLION, markersize=11, markeredgewidth=2, label="minimum")
    axes.annotate("start", points[0], (0, 7), textcoords="offset points", ha="center", fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[2, 10]))
    axes.set_xlabel("x")
    axes.set_ylabel("y", rotation=0)
    plain(axes)
