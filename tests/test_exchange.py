"""docs/exchange.md: its code runs, and its table says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import nnkit
from nnkit.loading import LAYER_CLASSES

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import nnkit.onnx  # noqa: E402
from nnkit.onnx.graph import IR_VERSION, OPSET  # noqa: E402
from nnkit.onnx.translating import TRANSLATIONS  # noqa: E402
from tests.test_onnx_export import ALL, network  # noqa: E402

PAGE = Path(__file__).parents[1] / "docs" / "exchange.md"
TEXT = PAGE.read_text("utf-8")
TABLE = dict(re.findall(r"^\| `(\w+)` \| (.*?) ?\|$", TEXT, re.M))
MORE = {"Linear": [nnkit.Linear(4, 3, bias=False)], "GELU": [nnkit.GELU(approximate=True)]}
"""Layers of other options, which become something else."""


def test_the_code_runs(tmp_path, monkeypatch, capsys):
    """All blocks in their order, as somebody would type them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nnkit.onnx.translating.TRANSLATIONS", {**TRANSLATIONS})
    names = {}
    with nnkit.use_backend("numpy"):
        for block in re.findall(r"```python\n(.*?)```", TEXT, re.S):
            exec(compile(block, PAGE.name, "exec"), names)
    assert re.fullmatch(r"\d\n", capsys.readouterr().out)


def test_the_versions_are_those_of_the_code():
    assert f"opset {OPSET}, of 2023, in files of IR version {IR_VERSION};" in TEXT
    assert f"opset {OPSET}." in nnkit.onnx.export.__doc__


def test_the_table_has_all_layers():
    assert TABLE.keys() == LAYER_CLASSES.keys()


@pytest.mark.parametrize("name", TABLE)
def test_the_table_says_what_a_layer_becomes(name, tmp_path):
    make, shape = ALL[name]
    found = set()
    inside = set()
    for layer in (make(), *MORE.get(name, [])):
        model = network(layer)
        nnkit.onnx.export(model, tmp_path / "m.onnx", shape=shape)
        found |= {node.op_type for node in onnx.load(tmp_path / "m.onnx").graph.node}
        for _, inner in layer.children():
            inside |= set(re.findall(r"[A-Z]\w+", TABLE[type(inner).__name__].partition(";")[0]))
            inside |= {"MatMul"}
    said = set(re.findall(r"\b[A-Z]\w+", TABLE[name]))
    assert found - {"Transpose", "Identity"} - inside == said - inside
