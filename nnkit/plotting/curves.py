"""Learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING

from nnkit.paths import expand
from nnkit.plotting.style import BLUE, GRID, VERMILLION, new_figure, plain
from nnkit.training.history import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def learning_curves(
    history: History,
    path: str | PathLike[str] | None = None,
    *,
    title: str = "Learning curves",
    validation: str = "validation",
) -> Figure:
    """Draw loss and, where there is one, accuracy against epochs, in training and validation.

    Parameters
    ----------
    history
        What `Trainer.fit` returned, with at least one epoch.
    path
        Where to save the picture too; its ending, such as .png or .svg, is its format.
    title
        Headline of the picture.
    validation
        What to call the validation data.

    Raises ValueError for a history without an epoch, ImportError without Matplotlib.
    """
    if not len(history):
        raise ValueError("there are no learning curves before the first epoch is done")
    parts = [("loss", 1, history.loss, history.val_loss)]
    if history.accuracy:
        parts.append(("accuracy in %", 100, history.accuracy, history.val_accuracy))
    figure = new_figure(5 * len(parts), 4, title)
    for i, (name, scale, training, validated) in enumerate(parts):
        axes = figure.add_subplot(1, len(parts), i + 1)
        _draw(axes, [scale * y for y in training], "training", BLUE, len(history))
        if validated:
            _draw(axes, [scale * y for y in validated], validation, VERMILLION, len(history))
        _label(axes, name, len(training))
    if path is not None:
        figure.savefig(expand(path))
    return figure


def _draw(axes: Axes, values: Sequence[float], label: str, color: str, last: int) -> None:
    epochs = range(last - len(values) + 1, last + 1)
    marker = "o" if len(values) <= 30 else ""
    axes.plot(epochs, values, color=color, label=label, linewidth=2, marker=marker, markersize=4.5)


def _label(axes: Axes, name: str, epochs: int) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("epoch")
    axes.set_ylabel(name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
    axes.set_xlim(0.5, epochs + 0.5)
    axes.grid(axis="y", color=GRID)
    plain(axes)
    axes.legend(frameon=False)
