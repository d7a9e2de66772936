"""The tables of a record of `bench.ranks`: what two ranks bring, and what their sums cost."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from bench.tables import microseconds


def speedups(record: dict[str, Any]) -> tuple[Sequence[str], list[Sequence[str]]]:
    """One row a network: how many times as fast as one thread, and what the gradients take.

    By the model two ranks take half of one thread's time, and that of the sum.
    """
    rows = [row for row in record["results"] if "network" in row]
    ways = list(dict.fromkeys(row["way"] for row in rows))
    found = {(row["network"], row["way"]): row for row in rows}
    body = []
    for name in dict.fromkeys(row["network"] for row in rows):
        alone, ranks = found[name, ways[0]], found[name, ways[-1]]
        body.append(
            (
                ranks["label"],
                microseconds(alone["seconds"]),
                *(_range(found[name, way]["speedups"]) for way in ways[1:]),
                f"{1 / (0.5 + ranks['sum'] / alone['seconds']):.2f}",
                f"{ranks['bytes']:,}",
                microseconds(ranks["sum"]),
                f"{ranks['sum'] / ranks['seconds']:.0%}",
            )
        )
    head = ("network", f"{ways[0]}, us" if ways else "us", *ways[1:])
    return (*head, "by the model", "gradients, bytes", "their sum, us", "of the step"), body


def _range(ratios: Sequence[float]) -> str:
    return f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def sums(record: dict[str, Any]) -> tuple[Sequence[str], list[Sequence[str]]]:
    """One row a size, one column a way of adding up: microseconds for a call."""
    rows = [row for row in record["results"] if "size" in row]
    cells = {(row["size"], row["column"]): microseconds(row["seconds"]) for row in rows}
    columns = list(dict.fromkeys(row["column"] for row in rows))
    body = [
        (f"{size:,}", *(cells.get((size, column), "-") for column in columns))
        for size in dict.fromkeys(row["size"] for row in rows)
    ]
    return ("numbers, us a sum", *columns), body


def rank_line(rows: list[dict[str, Any]]) -> str:
    """How many times as fast as one thread ranks are, by network."""
    ways = [row["way"] for row in rows if "way" in row]
    last = [row for row in rows if row.get("way") == ways[-1]]
    parts = ", ".join(f"{row['network']} {median(row['speedups']):.2f}" for row in last)
    return f"{ways[-1]}, times as fast as one thread: {parts}"
