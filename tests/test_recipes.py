"""docs/recipes.md: its code runs as it is written there, and prints what is shown below it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import nnkit

PAGE = Path(__file__).parents[1] / "docs" / "recipes.md"
FENCES = re.findall(r"^```(\w+)\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?")


def shape(text):
    """Words, lines and signs, with every number the same: it depends on the machine."""
    return [NUMBER.sub("0", line).split() for line in text.splitlines()]


def test_the_recipes(tmp_path, monkeypatch, capsys):
    """All blocks in their order, as somebody would type them."""
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    names, shown = {}, 0
    with nnkit.use_backend("numpy"):
        for (kind, text), (following, output) in zip(FENCES, [*FENCES[1:], ("", "")], strict=True):
            if kind == "python":
                exec(compile(text, PAGE.name, "exec"), names)
                printed = capsys.readouterr().out
                assert shape(printed) == shape(output if following == "text" else ""), printed
                shown += bool(printed)
    assert shown == sum(kind == "text" for kind, _ in FENCES) > 10
    assert (tmp_path / "activations.png").read_bytes().startswith(b"\x89PNG")
    # What the recipe for rare classes promises.
    assert names["found"](names["plain"]) < names["found"](names["weighted"])
    assert names["found"](names["plain"]) < names["found"](names["repeated"])
