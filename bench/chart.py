"""The chart of a comparison: each peer's time as a multiple of nnkit's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

OURS, YARDSTICK, OTHERS, GRAY = "#d9661f", "#8a8a8a", "#2a6fbb", "#555555"


def draw(record: dict[str, Any], path: Path) -> Path:
    """Draw one panel for each network: dots at the median, lines from the least to the most."""
    networks: dict[str, list[dict[str, Any]]] = {}
    for row in record["results"]:
        networks.setdefault(row["label"], []).append(row)
    rows = max(map(len, networks.values()))
    size = (10, len(networks) * (0.6 + 0.24 * rows) + 1.1)
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    machine, settings = record["machine"], record["settings"]
    where = machine.get("gpu") or f"{settings['threads']} threads, {machine['cpu']}"
    figure.suptitle(
        f"Time of a training step, in multiples of “{settings['base']}”",
        fontsize=13,
        fontweight="bold",
    )
    panels = figure.subplots(len(networks), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (label, peers) in zip(panels, networks.items(), strict=True):
        _panel(axes, label, sorted(peers, key=lambda row: row["ratio"]["median"]))
    panels[-1].set_xlabel(
        f"times as long (logarithmic), median and range of {settings['rounds']} rounds;  "
        f"{where}, {record['date']}",
        color=GRAY,
    )
    figure.savefig(path)
    return path


def _panel(axes: Axes, label: str, peers: list[dict[str, Any]]) -> None:
    for y, row in enumerate(peers):
        ratio, color = row["ratio"], _color(row["peer"])
        axes.plot([ratio["min"], ratio["max"]], [y, y], color=color, linewidth=2, alpha=0.5)
        axes.plot(ratio["median"], y, "o", color=color, markersize=6)
        axes.annotate(
            f"{row['seconds'] * 1e6:,.0f} µs",
            (1.1, y),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="center",
            fontsize=8,
            color=GRAY,
        )
    axes.axvline(1, color=OURS, linewidth=1, alpha=0.6, zorder=0)
    axes.set_title(label, loc="left", fontsize=10, fontweight="bold")
    axes.set_xscale("log")
    axes.set_yticks(range(len(peers)), [row["title"] for row in peers], fontsize=9)
    axes.set_ylim(len(peers) - 0.4, -0.6)
    axes.xaxis.set_major_locator(_ticks())
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}x")
    axes.xaxis.set_minor_formatter(lambda *_: "")
    axes.grid(axis="x", color="#e4e4e4")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _ticks() -> Any:
    from matplotlib.ticker import LogLocator

    return LogLocator(base=10, subs=(1, 2, 5))


def _color(peer: str) -> str:
    if peer.startswith("nnkit"):
        return OURS
    return YARDSTICK if peer == "products" else OTHERS
