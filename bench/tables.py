"""Tables as text and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

Row = Sequence[str]


def table(head: Row, rows: Sequence[Row], text_columns: int = 1) -> str:
    """Columns as wide as their widest cell; those behind the first `text_columns` are numbers."""
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < text_columns else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def markdown(head: Row, rows: Sequence[Row], text_columns: int = 1) -> str:
    """A Markdown table; the columns behind the first `text_columns` are numbers."""
    rule = ["---" if i < text_columns else "---:" for i in range(len(head))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *rows))


def microseconds(seconds: float) -> str:
    """Three digits where there are not more before the point."""
    value = seconds * 1e6
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
