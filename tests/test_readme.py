"""README.md: its code runs, and the files and names it speaks of exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import nnkit

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()


def test_the_python_code_runs(tmp_path, monkeypatch, capsys):
    """All blocks, one after the other, as a reader would type them."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.S)
    assert len(blocks) == 2
    names = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    accuracy = float(re.search(r"([\d.]+)% of the test digits are right", printed)[1])
    assert accuracy > 95
    assert names["value"] < 0.5
    assert nnkit.load("digits.safetensors").n_parameters == 64 * 64 + 64 + 64 * 10 + 10


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert target.startswith("http") or (ROOT / target).exists(), target


@pytest.mark.parametrize("section", ["layers", "activations", "losses", "optimizers"])
def test_every_name_in_the_table_exists(section):
    row = next(line for line in TEXT.splitlines() if line.startswith(f"| {section} |"))
    names = re.findall(r"`(\w+)`", row)
    assert names
    for name in names:
        assert hasattr(nnkit, name), name
