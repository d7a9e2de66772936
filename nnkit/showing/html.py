"""Tables for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def table(header: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """Write a table of texts, which are escaped."""
    lines = [f"<caption>{escape(caption)}</caption>"] if caption else []
    lines.append(_row("th", header))
    lines += [_row("td", row) for row in rows]
    return "\n".join(["<table>", *lines, "</table>"])


def _row(tag: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"
