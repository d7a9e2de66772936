"""The code of the guides runs as it is written there, and their tables say what is."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import nnkit
from nnkit.data import load
from tests.callbacks.fakes import FakeMLflow, FakeWandb

GUIDE = Path(__file__).resolve().parents[1] / "docs" / "models.md"
TEXT = GUIDE.read_text("utf-8")


def test_the_guide_to_models(tmp_path, monkeypatch, rng, capsys):
    monkeypatch.chdir(tmp_path)
    names = {"nnkit": nnkit, "x": rng.random((64, 64))}
    with nnkit.use_backend("numpy"):
        for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
            exec(compile(block, GUIDE.name, "exec"), names)
        assert "3.1.0: Linear(in_features=32, out_features=8, bias=True)" in capsys.readouterr().out
        saved = nnkit.load("encoder.safetensors")
        np.testing.assert_array_equal(saved(names["x"]), names["encoder"](names["x"]))
        assert len(names["both"].runs()) == len(names["encoder"].runs()) == 1


IMAGE_LAYERS = re.findall(
    r"^\| `(\w+\(.*?\))` \| (\(.*?\)) \| (\(.*?\)) \| ([\d,]+) \|", TEXT, re.M
)


@pytest.mark.parametrize(("call", "before", "behind", "count"), IMAGE_LAYERS)
def test_the_table_of_layers_for_images(call, before, behind, count):
    layer = eval(call, vars(nnkit))
    assert repr(layer.output_shape(eval(before))) == behind
    assert f"{sum(p.size for p in layer.parameters()):,}" == count


def test_the_table_has_all_layers_for_images():
    shown = {call.partition("(")[0] for call, *_ in IMAGE_LAYERS}
    for name in nnkit.layers.__all__:
        if name.endswith("2d"):
            assert name in shown


CALLBACKS = (GUIDE.parent / "callbacks.md").read_text("utf-8")


def test_the_guide_to_callbacks(tmp_path, monkeypatch, capsys):
    """Trackers, which would ask who you are, are fakes; the others where they are installed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "mlflow", FakeMLflow())
    monkeypatch.setitem(sys.modules, "wandb", FakeWandb())
    digits = load("digits")
    names = {"nnkit": nnkit, "x": digits.x_train[:300], "t": digits.t_train[:300]}
    names["validation"] = digits.x_test[:100], digits.t_test[:100]
    libraries = {"TensorBoard": "tensorboardX", "plot": "matplotlib"}
    with nnkit.use_backend("numpy"):
        names["model"] = nnkit.Sequential(nnkit.Linear(64, 20), nnkit.ReLU(), nnkit.Linear(20, 10))
        for block in re.findall(r"```python\n(.*?)```", CALLBACKS, re.DOTALL):
            needed = [library for word, library in libraries.items() if word in block]
            if all(map(find_spec, needed)):
                exec(compile(block, "callbacks.md", "exec"), names)
    assert "epoch,loss,accuracy,val_loss,val_accuracy,lr,seconds" in capsys.readouterr().out
    assert (tmp_path / "runs/best.safetensors").is_file()
    assert 1e-4 < names["found"].suggestion < 0.3
    assert len(names["norms"].norms) == 2


def test_the_guide_lists_all_callbacks():
    rows = re.findall(r"^\| \{class\}`nnkit\.(\w+)` \|.*\| (?:`(\w+)`.*)?\|$", CALLBACKS, re.M)
    of = {name: getattr(nnkit, name) for name in [*nnkit.callbacks.__all__, "Watch"]}
    kinds = {name for name, kind in of.items() if issubclass(kind, nnkit.Callback)}
    assert {name for name, _ in rows} == kinds
    needed = {"", "tensorboardX", "mlflow", "wandb", "starlette"}
    assert {library for _, library in rows} == needed


# ------------------------------------------------------------------ arrays and tables

DOCS = GUIDE.parent
ARRAYS = dict(
    re.findall(r"^\| (an? .*?) \| (.*) \|$", (DOCS / "arrays.md").read_text("utf-8"), re.M)
)
"""What can be given for an array, and what becomes of its memory: `test_arrays` tries them."""


def run_all(page, **names):
    """Execute a page's code, and return the names it has defined."""
    names = {"nnkit": nnkit, **names}
    with nnkit.use_backend("numpy"):
        for block in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
            if '"cupy"' not in block or "cupy" in nnkit.available_backends():
                exec(compile(block, page.name, "exec"), names)
    return names


class Scale(nnkit.Layer):
    """The layer of one's own that a page speaks of."""

    def forward(self, x):
        return x

    def backward(self, dy):
        return dy


def what_pages_speak_of():
    """What the code of the shorter pages takes for there already."""
    rng = np.random.default_rng(0)
    x, t = rng.random((40, 64)), np.arange(40) % 10
    images = rng.integers(0, 256, (40, 8, 8), dtype=np.uint8)
    trainer = nnkit.Trainer(nnkit.Sequential(nnkit.Linear(64, 10), backend="numpy"))
    trainer.fit(x, t, 2)
    nnkit.Sequential(Scale(), nnkit.Linear(64, 10), backend="numpy").save("model.safetensors")
    return {
        "backends.md": {},
        "checkpoints.md": {
            "np": np,
            "x": x,
            "t": t,
            "trainer": trainer,
            "model": trainer.model,
            "Scale": Scale,
        },
        "data.md": {"images": images, "labels": t, "more_images": images, "more_labels": t},
        "distributed.md": {},
        "index.md": {"x": x, "t": t},
    }


SHORTER = ["backends.md", "checkpoints.md", "data.md", "distributed.md", "index.md"]


@pytest.mark.parametrize("page", SHORTER)
def test_shorter_pages(page, tmp_path, monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.chdir(tmp_path)
    try:
        run_all(DOCS / page, **what_pages_speak_of()[page])
    finally:
        nnkit.set_precision("float32")


def test_the_code_of_every_page_is_run():
    with_code = {page.name for page in DOCS.glob("*.md") if "```python" in page.read_text("utf-8")}
    here = {*SHORTER, "arrays.md", "callbacks.md", "models.md", "tables.md"}
    elsewhere = {"exchange.md", "extending.md", "recipes.md", "sklearn.md"}
    assert with_code == here | elsewhere


def test_the_guide_to_arrays():
    for library in ("pandas", "scipy"):
        pytest.importorskip(library)
    names = run_all(DOCS / "arrays.md")
    assert names["trainer"].predict(names["frame"]).shape == (4, 1)


def test_the_guide_to_tables(tmp_path, monkeypatch, capsys):
    """Its code, and its commands on the table that the code writes."""
    from click.testing import CliRunner

    from nnkit.cli import cli

    for library in ("narwhals", "polars"):
        pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NNKIT_BACKEND", "numpy")
    names = run_all(DOCS / "tables.md")
    assert names["data"].encoder.feature_names == (
        *("petal", "colour=blue", "colour=red", "colour=white"),
    )
    answers = names["encoder"].decode(names["again"].predict(names["encoder"].encode(names["new"])))
    assert answers.tolist() == ["setosa", "virginica"]
    assert float(re.search(r"wrong by (\S+) on", capsys.readouterr().out)[1]) < 2
    commands = re.findall(r"^\$ nnkit (.*)", (DOCS / "tables.md").read_text("utf-8"), re.M)
    assert len(commands) == 3
    for command in commands:
        monkeypatch.setattr("nnkit.cli.fitting.learning_curves", lambda *_, **__: None)
        result = CliRunner().invoke(cli, command.split())
        assert (result.exit_code, result.stderr) == (0, "")
    assert (tmp_path / "answers.csv").is_file()
