"""The tables that are made of a record: for the terminal here, for Markdown in `bench.report`.

``python -m bench.summaries FOLDER`` prints those of the records in a folder.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.rank_tables import rank_line, speedups, sums
from bench.results import COMPARISONS, load
from bench.tables import microseconds, table

Table = tuple[Sequence[str], list[Sequence[str]]]
"""Head and rows."""
PLAIN_TITLES = {"plain numpy": "NumPy", "plain cupy": "CuPy"}


def kernels(record: dict[str, Any]) -> Table:
    """One row a kernel, size and version, with its speed against plain code and against a copy."""
    rows = record["results"]
    plain = {
        (row["case"], row["version"]): row["seconds"]
        for row in rows
        if row["version"] in PLAIN_TITLES
    }
    bases = " or ".join(dict.fromkeys(PLAIN_TITLES[_plain(row["version"])] for row in rows))
    head = ("kernel", "version", "us", "GB/s", "of a copy", f"times plain {bases or 'code'}")
    return head, [
        (
            row["case"],
            row["version"],
            microseconds(row["seconds"]),
            f"{row['gb_per_second']:.1f}",
            f"{row['share_of_copy']:.0%}",
            f"{base / row['seconds']:.1f}x" if base else "-",
        )
        for row in rows
        for base in [plain.get((row["case"], _plain(row["version"])))]
    ]


def _plain(version: str) -> str:
    """The plain code that a version is compared with: it computes on the same device."""
    return "plain cupy" if "cupy" in version else "plain numpy"


def steps(record: dict[str, Any]) -> Table:
    """One row a network, backend and version."""
    head = ("network", "backend", "version", "us/step", "GFLOP/s", "x products", "images/s")
    return head, [
        (
            row["label"],
            row["backend"],
            row["version"],
            microseconds(row["seconds"]),
            f"{row['gflops']:.1f}",
            f"{row['seconds'] / row['yardstick']:.2f}",
            f"{row['images_per_second']:,.0f}",
        )
        for row in record["results"]
        if row["version"] != "epoch"
    ]


def epochs(record: dict[str, Any]) -> Table:
    """One row a network, a column a backend: seconds for an epoch of all training images."""
    rows = [row for row in record["results"] if row["version"] == "epoch"]
    backends = list(dict.fromkeys(row["backend"] for row in rows))
    cells = {(row["label"], row["backend"]): f"{row['epoch_seconds']:.2f}" for row in rows}
    labels = list(dict.fromkeys(row["label"] for row in rows))
    head = ("seconds per epoch", *backends)
    return head, [(label, *(cells.get((label, b), "-") for b in backends)) for label in labels]


def products(record: dict[str, Any]) -> Table:
    """One row a layer: GFLOP/s of its three products, nnkit's and then BLAS's."""
    rows = record["results"]
    formulas = list(dict.fromkeys(row["formula"] for row in rows))
    layers = list(dict.fromkeys(row["layer"] for row in rows))
    cells = {
        (row["layer"], row["formula"]): f"{row['gflops']:.0f} ({row['gflops_blas']:.0f})"
        for row in rows
    }
    head = ("GFLOP/s, nnkit (BLAS)", *formulas)
    return head, [(layer, *(cells[layer, f] for f in formulas)) for layer in layers]


def times(record: dict[str, Any]) -> Table:
    """Microseconds per training step: a row a peer, a column a network."""
    return _comparison(record, "us per step", lambda row: microseconds(row["seconds"]))


def ratios(record: dict[str, Any]) -> Table:
    """Times as long as nnkit's: median, and the range over the rounds."""
    base = record["settings"]["base"]
    return _comparison(record, f"times as long as {base}", _ratio)


def _comparison(record: dict[str, Any], title: str, cell: Callable[[dict[str, Any]], str]) -> Table:
    rows = record["results"]
    cells = {(row["title"], row["label"]): cell(row) for row in rows}
    labels = list(dict.fromkeys(row["label"] for row in rows))
    peers = list(dict.fromkeys(row["title"] for row in rows))
    body = [(peer, *(cells.get((peer, label), "-") for label in labels)) for peer in peers]
    return (title, *labels), body


def _ratio(row: dict[str, Any]) -> str:
    ratio = row["ratio"]
    return f"{ratio['median']:.2f} ({ratio['min']:.2f}-{ratio['max']:.2f})"


TABLES: dict[str, tuple[str, Callable[[dict[str, Any]], Table], int]] = {
    "kernels": ("kernels", kernels, 2),
    "steps": ("steps", steps, 3),
    "epochs": ("steps", epochs, 1),
    "products": ("products", products, 1),
    "times": ("compare", times, 1),
    "ratios": ("compare", ratios, 1),
    "convolutional-times": ("convolutional", times, 1),
    "convolutional-ratios": ("convolutional", ratios, 1),
    "ranks": ("ranks", speedups, 1),
    "sums": ("ranks", sums, 1),
}
"""For each table: which records it is made of, how, and how many columns are text."""


def show(record: dict[str, Any]) -> str:
    """All tables of a record as text, and what else has to be known."""
    parts = [
        table(*make(record), text_columns)
        for what, make, text_columns in TABLES.values()
        if what == record["what"]
    ]
    return "\n\n".join([*parts, *_notes(record)])


def _notes(record: dict[str, Any]) -> list[str]:
    settings = record["settings"]
    parts = ["PARTIAL: not all was measured"] if settings.get("partial") else []
    if record["what"] == "ranks" and settings.get("busy_elsewhere_cores") is not None:
        parts.append(f"others kept {settings['busy_elsewhere_cores']:.2f} cores busy meanwhile")
    if record["what"] not in COMPARISONS:
        return parts
    lines = [f"absent: {key}: {why}" for key, why in settings["absent"].items()]
    lines += [f"FAILED: {key}: {why}" for key, why in settings["failed"].items()]
    if settings["busy_elsewhere_cores"] is not None:
        busy = settings["busy_elsewhere_cores"]
        lines.append(f"other processes kept {busy:.2f} cores busy meanwhile")
    idle = max((row["idle_cores"] for row in record["results"]), default=0)
    lines.append(f"a waiting peer used at most {idle:.3f} cores")
    return ["\n".join([*parts, *lines])]


def headline(record: dict[str, Any]) -> str:
    """The record in one line."""
    lines = {"kernels": _kernels_line, "steps": _steps_line, "ranks": rank_line}
    return lines.get(record["what"], _compare_line)(record["results"])


def _kernels_line(rows: list[dict[str, Any]]) -> str:
    """Least and greatest share of a copy, of the version measured last: the fastest backend."""
    version = rows[-1]["version"]
    shares = sorted(
        (row["share_of_copy"], row["case"]) for row in rows if row["version"] == version
    )
    (least, case), (most, other) = shares[0], shares[-1]
    return (
        f"{version}: {len(shares)} kernels reach {least:.0%} ({case}) to {most:.0%} ({other}) "
        "of a copy's bandwidth"
    )


def _steps_line(rows: list[dict[str, Any]]) -> str:
    """Microseconds per step of the backend measured last, as `fit` does by default."""
    backend = rows[-1]["backend"]
    chosen = [row for row in rows if (row["backend"], row["version"]) == (backend, "captured")]
    times = ", ".join(f"{row['network']} {microseconds(row['seconds'])}" for row in chosen)
    return f"{backend}, us/step: {times}"


def _compare_line(rows: list[dict[str, Any]]) -> str:
    """Range of each peer's ratio over the networks."""
    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(row["title"], []).append(row["ratio"]["median"])
    parts = [f"{title} {min(r):.2f}-{max(r):.2f}" for title, r in found.items() if set(r) != {1.0}]
    return f"times as long as nnkit: {'; '.join(parts)}"


if __name__ == "__main__":
    for path in sorted(Path(sys.argv[1]).rglob("*.json")):
        print(f"{path}\n\n{show(load(path))}\n")
