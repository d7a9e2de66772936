"""The code in docs/models.md runs as it is written there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

import nnkit

GUIDE = Path(__file__).resolve().parents[1] / "docs" / "models.md"


def test_the_guide_to_models(tmp_path, monkeypatch, rng, capsys):
    monkeypatch.chdir(tmp_path)
    names = {"nnkit": nnkit, "x": rng.random((64, 64))}
    with nnkit.use_backend("numpy"):
        for block in re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL):
            exec(compile(block, GUIDE.name, "exec"), names)
        assert "3.1.0: Linear(in_features=32, out_features=8, bias=True)" in capsys.readouterr().out
        saved = nnkit.load("encoder.safetensors")
        np.testing.assert_array_equal(saved(names["x"]), names["encoder"](names["x"]))
        assert len(names["both"].runs()) == len(names["encoder"].runs()) == 1
