"""Activation functions with their derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nnkit import activations
from nnkit.backends import get_backend
from nnkit.kernels.table import ACTIVATIONS
from nnkit.layers import Activation
from nnkit.plotting.style import BLUE, GRAY, GRID, VERMILLION, headline, new_figure, panels, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curve = NDArray[np.float64]

REACH = 5.0
"""The functions are drawn from -REACH to REACH, and no farther up or down."""


def activation_functions(
    names: Sequence[str] = ("step", "sigmoid", "relu"), *, title: str = "Activation functions"
) -> Figure:
    """Draw activation functions, each in a panel with its formula and its derivative.

    Parameters
    ----------
    names
        Keys of `nnkit.kernels.table.ACTIVATIONS`, at least one. A function with a parameter is
        drawn with its layer's default.
    title
        Headline of the picture.

    Raises ValueError for an unknown name, ImportError without Matplotlib.
    """
    unknown = [name for name in names if name not in ACTIVATIONS]
    if unknown or not names:
        problem = f"no activation {unknown[0]!r}" if unknown else "no name of an activation"
        raise ValueError(f"{problem}: there are {', '.join(ACTIVATIONS)}")
    rows, columns = panels(len(names), 3)
    figure = new_figure(3.4 * columns, 3.0 * rows + 1, title)
    for i, name in enumerate(names):
        _draw(figure.add_subplot(rows, columns, i + 1), name)
    fullest = max(figure.axes, key=lambda axes: len(axes.get_lines()))
    handles, labels = fullest.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    return figure


def values(name: str, x: Curve) -> tuple[Curve, Curve | None]:
    """Compute f(x) and f'(x), both of x's shape; None where there is no f' to train by."""
    backend, alpha = get_backend("numpy"), _parameter(name)
    y = backend.activation(name, x, alpha=alpha)
    if ACTIVATIONS[name].gradient is None:
        return y, None
    saved = x if ACTIVATIONS[name].saved == "x" else y
    return y, backend.activation_backward(name, np.ones_like(x), saved, alpha=alpha)


def _parameter(name: str) -> float:
    """Return the number `a` in the formula, as the function's layer has it by default."""
    layer = activations.get(name)
    return float(layer.alpha) if isinstance(layer, Activation) else 0.0


def _draw(axes: Axes, name: str) -> None:
    x = np.linspace(-REACH, REACH, 2001)
    y, slope = values(name, x)
    axes.axhline(0, color=GRAY, linewidth=0.8)
    axes.axvline(0, color=GRAY, linewidth=0.8)
    axes.plot(x, y, color=BLUE, linewidth=2.2, label="f(x)")
    drawn = [y]
    if slope is not None:
        axes.plot(x, slope, "--", color=VERMILLION, linewidth=1.8, label="f'(x)")
        drawn.append(slope)
    low, high = np.clip([np.min(drawn), np.max(drawn)], -REACH, REACH)
    axes.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))
    axes.set_xlim(-REACH, REACH)
    axes.set_xlabel("x")
    headline(axes, name, ", ".join([ACTIVATIONS[name].formula, *_remarks(name)]))
    axes.grid(color=GRID)
    plain(axes)


def _remarks(name: str) -> list[str]:
    alpha = _parameter(name)
    remarks = [f"a = {alpha:g}"] if alpha else []
    return remarks if ACTIVATIONS[name].gradient else [*remarks, "no derivative to train by"]
