"""Learning curves, of one run or of several in one picture."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

from nnkit.files.paths import expand
from nnkit.plotting.labels import literal
from nnkit.plotting.style import BLUE, GRAY, GRID, VERMILLION, distinct_colors, new_figure, plain
from nnkit.training.history import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def learning_curves(
    history: History | Mapping[str, History],
    path: str | PathLike[str] | None = None,
    *,
    title: str = "Learning curves",
    validation: str = "validation",
) -> Figure:
    """Draw loss and, where there is one, accuracy against epochs, in training and validation.

    Parameters
    ----------
    history
        What `Trainer.fit` returned, with at least one epoch; or several runs to compare, each
        under its name, of any lengths. Each has a colour, and its training is dashed.
    path
        Where to save the picture too; its ending, such as .png or .svg, is its format.
    title
        Headline of the picture.
    validation
        What to call the validation data.

    Raises ValueError for no run or one without an epoch, TypeError for what is none, ImportError
    without Matplotlib.
    """
    if not isinstance(history, History | Mapping):
        kind = type(history).__name__
        raise TypeError(f"history must be one of fit's, or a dict of several by name, not {kind}")
    runs = {"": history} if isinstance(history, History) else dict(history)
    empty = [name for name, run in runs.items() if not len(run)]
    if empty or not runs:
        of = f" of {empty[0]}" if empty and empty[0] else ""
        raise ValueError(f"there are no learning curves before the first epoch{of} is done")
    names = ["loss"] + ["accuracy"] * any(run.accuracy for run in runs.values())
    figure = new_figure(5 * len(names), 4, title)
    for i, name in enumerate(names):
        axes = figure.add_subplot(1, len(names), i + 1)
        _label(axes, name, max(map(len, runs.values())))
        if isinstance(history, History):
            _draw_one(axes, history, name, validation)
        else:
            _draw_all(axes, runs, name)
    if not isinstance(history, History):
        _tell_apart(figure, runs, validation)
    if path is not None:
        figure.savefig(expand(path))
    return figure


def _draw(axes: Axes, run: History, name: str, color: str, style: str = "o-", **more: Any) -> None:
    """Draw a row of figures up to the run's last epoch: validation may have begun later."""
    values = [100 * y if name.endswith("accuracy") else y for y in getattr(run, name)]
    epochs = range(len(run) - len(values) + 1, len(run) + 1)
    style = style if len(values) <= 30 else style.replace("o", "")  # marks where there is room
    axes.plot(epochs, values, style, color=color, **{"linewidth": 2, "markersize": 4.5} | more)


def _draw_one(axes: Axes, run: History, name: str, validation: str) -> None:
    _draw(axes, run, name, BLUE, label="training")
    if getattr(run, f"val_{name}"):
        _draw(axes, run, f"val_{name}", VERMILLION, label=literal(validation))
    axes.legend(frameon=False)


def _draw_all(axes: Axes, runs: Mapping[str, History], name: str) -> None:
    for color, run in zip(distinct_colors(len(runs)), runs.values(), strict=True):
        _draw(axes, run, name, color, "o--", linewidth=1.3, markersize=2.5)
        _draw(axes, run, f"val_{name}", color)


def _tell_apart(figure: Figure, runs: Mapping[str, History], validation: str) -> None:
    """Name colours and styles below the picture, which becomes so much higher."""
    from matplotlib.lines import Line2D

    colors = distinct_colors(len(runs))
    handles = [Line2D([], [], color=color, linewidth=2) for color in colors]
    handles.append(Line2D([], [], color=GRAY, linewidth=1.3, linestyle="--"))
    labels = [*map(literal, runs), "training"]
    if any(run.val_loss for run in runs.values()):
        handles.append(Line2D([], [], color=GRAY, linewidth=2))
        labels.append(literal(validation))
    width, height = figure.get_size_inches()
    columns = max(1, min(5, int(width / (0.7 + 0.1 * max(map(len, labels))))))
    figure.set_size_inches(width, height + 0.22 * -(-len(labels) // columns))
    # Named here, and not by their labels, of which Matplotlib leaves out those such as "_run".
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)


def _label(axes: Axes, name: str, epochs: int) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("epoch")
    axes.set_ylabel("accuracy in %" if name == "accuracy" else name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
    axes.set_xlim(0.5, epochs + 0.5)
    axes.grid(axis="y", color=GRID)
    plain(axes)
