"""Losses over growing learning rates."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from nnkit.files.paths import expand
from nnkit.plotting.style import BLUE, GRID, VERMILLION, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def learning_rates(
    rates: Sequence[float],
    losses: Sequence[float],
    smoothed: Sequence[float],
    suggestion: float | None,
    path: str | PathLike[str] | None,
    title: str,
) -> Figure:
    """Draw what a range test has found; see `nnkit.callbacks.LearningRates.plot`."""
    figure = new_figure(6, 4, title)
    axes = figure.add_subplot()
    axes.plot(rates, losses, color="0.75", linewidth=1, label="loss of a batch")
    axes.plot(rates, smoothed, color=BLUE, linewidth=2, label="smoothed")
    if suggestion is not None:
        at = np.interp(np.log(suggestion), np.log(rates), smoothed)
        axes.plot(
            *(suggestion, at, "o"),
            color=VERMILLION,
            markersize=7,
            label=f"suggestion: {suggestion:.2g}",
        )
    axes.set_xscale("log")
    if smoothed:  # what diverges in the end would squeeze the rest
        least = smoothed.index(min(smoothed))
        low, high = min(*losses, *smoothed), max(smoothed[: least + 1])
        room = (high - low) or 1.0
        axes.set_ylim(low - 0.1 * room, high + 0.6 * room)
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss")
    axes.grid(axis="y", color=GRID)
    axes.legend(frameon=False)
    plain(axes)
    if path is not None:
        figure.savefig(expand(path))
    return figure
