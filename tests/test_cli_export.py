"""``nnkit export``."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner

import nnkit
from nnkit.cli import cli

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def run(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def trainer(tmp_path, monkeypatch):
    """A trainer, whose checkpoint is in the folder "run"."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NNKIT_BACKEND", "numpy")
    layers = nnkit.Conv2d(1, 2, 3), "relu", nnkit.GlobalAvgPool2d(), nnkit.Linear(2, 3)
    trained = nnkit.Trainer(nnkit.Sequential(*layers, seed=0, backend="numpy"))
    x = np.random.default_rng(0).integers(0, 256, (12, 5, 4), dtype=np.uint8)
    trained.fit(x, np.arange(12) % 3, 1, 4, progress=False)
    (tmp_path / "run").mkdir()
    about = {"image_shape": (5, 4), "class_names": ("cat", "dog")}
    trained.save(tmp_path / "run" / "model.safetensors", **about)
    return trained


@pytest.mark.parametrize("source", ["run", "run/model.safetensors"])
def test_a_checkpoint_or_the_folder_of_a_run(trainer, source):
    done = run("export", source, "m.onnx")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "saved m.onnx\n", "")
    session = onnxruntime.InferenceSession("m.onnx")
    (given,) = session.get_inputs()
    assert (given.shape, given.type) == (["n", 5, 4, 1], "tensor(float)")
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["class_names"]) == ["cat", "dog", "2"]
    x = np.ones((2, 5, 4, 1), np.float32)
    np.testing.assert_allclose(session.run(None, {"x": x})[0], trainer.model(x), rtol=1e-5)


def test_bytes_to_probabilities(trainer):
    assert run("export", "run", "m.onnx", "--input", "uint8", "--probabilities").exit_code == 0
    x = np.arange(40, dtype=np.uint8).reshape(2, 5, 4, 1)
    given = onnxruntime.InferenceSession("m.onnx").run(None, {"x": x})[0]
    np.testing.assert_allclose(given, trainer.predict_proba(x), rtol=1e-5)


def test_a_model_alone(trainer):
    trainer.model.save("model.safetensors")
    assert run("export", "model.safetensors", "m.onnx").exit_code == 0
    (given,) = onnxruntime.InferenceSession("m.onnx").get_inputs()
    assert given.shape == ["n", "height", "width", 1]


def test_what_is_refused(trainer, monkeypatch):
    wrong = run("export", "m.onnx", "run/model.safetensors")
    assert wrong.exit_code == 2
    assert "run/model.safetensors does not end in .onnx" in wrong.stderr
    none = run("export", "nothing", "m.onnx")
    assert (none.exit_code, none.stderr) == (1, "nnkit: error: there is no checkpoint nothing\n")
    monkeypatch.setitem(sys.modules, "onnx", None)
    without = run("export", "run", "m.onnx")
    remedy = "nnkit: error: ONNX files need the package onnx: pip install onnx\n"
    assert (without.exit_code, without.stderr) == (1, remedy)


def test_a_table_is_to_be_encoded(trainer):
    """What encodes its columns travels with the network."""
    kept = {"features": [], "target": {}}
    trainer.extra = {"table_encoder": kept}
    nnkit.onnx.export(trainer, "m.onnx", shape=(5, 4, 1))
    about = onnxruntime.InferenceSession("m.onnx").get_modelmeta().custom_metadata_map
    assert json.loads(about["table_encoder"]) == kept
