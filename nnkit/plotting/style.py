"""What all pictures share: colours, the title, and plain axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnkit.reasons import importing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK, YELLOW = "#E69F00", "#56B4E9", "#000000", "#F0E442"
COLORS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK, YELLOW)
"""Okabe & Ito (2008); the first ones differ most on white."""

GRAY, GRID = "#555555", "#e4e4e4"


def new_figure(width: float, height: float, title: str) -> Figure:
    """Make an empty figure of a size in inches; raises ImportError without Matplotlib."""
    with importing("matplotlib", "Matplotlib", "pictures need Matplotlib: pip install matplotlib"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.layout_engine import ConstrainedLayoutEngine

        from nnkit.plotting.picture import Picture

    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12, wspace=0.05, hspace=0.05)
    figure = Picture(figsize=(width, height), dpi=150, layout=layout)
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=12, fontweight="bold", parse_math=False, wrap=True)
    return figure


def plain(axes: Axes) -> None:
    """Leave out the frame's upper and right side, and make the rest gray."""
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRAY)
    axes.tick_params(colors=GRAY)


def headline(axes: Axes, title: str, remark: str) -> None:
    """Write a title, and below it a remark in smaller letters."""
    axes.set_title(f"{title}\n", fontsize=11)
    axes.text(0.5, 1.03, remark, transform=axes.transAxes, ha="center", color=GRAY, fontsize=8.5)


def distinct_colors(n: int) -> list[str]:
    """Colours for n curves: those above, or as many steps of a scale where there are more."""
    if n <= len(COLORS):
        return list(COLORS[:n])
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(colormaps["viridis"](0.95 * i / (n - 1))) for i in range(n)]


def panels(n: int, columns: int) -> tuple[int, int]:
    """Rows and columns that n panels fill, as evenly as may be with so many columns at most."""
    rows = -(-n // columns)
    return rows, -(-n // rows)
