"""Texts as people write them: one epoch, two epochs; what is inside, indented."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import indent
from typing import Any


def counted(n: int, noun: str) -> str:
    """Return "1 epoch", "2 epochs", "1,000 epochs"."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def block(name: str, inside: Iterable[tuple[str, str]]) -> str:
    """Return the repr of what has others inside, of their names and reprs: each begins a line."""
    lines = "".join(f"{label}: {text}\n" for label, text in inside)
    return f"{name}(\n{indent(lines, '  ')})"


def in_a_line(thing: Any) -> str:
    """Return its repr, for an error, without line breaks."""
    return " ".join(repr(thing).split())
