"""docs/extending.md: its code runs, and its rows and files make what it says that they make."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent, indent

import numpy as np
import pytest

import nnkit

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs/extending.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## (.*)\n((?:(?!## ).*\n)*)", TEXT, re.M))
CHANGES = "An activation", "An operation"
"""Sections whose code belongs into files, which the items of their lists begin with."""

ENDS = {
    "kernels/table.py": (r"^ACTIVATIONS = \{.*?^(?=\})", 4),
    "nnkit/backends/numpy/activations.py": (r"^FORMULAS = \{.*?^(?=\})", 4),
    "kernels/numba/formulas.py": (r"^FORMULAS = \{.*?^(?=\})", 4),
    "kernels/cuda/activations.cuh": (r"^.*?^(?= *default:)", 8),
    "nnkit/backends/contract.py": (r"^.*\Z", 4),
    "tests/operations/samples.py": (r'^.*?^(?=        "advance": )', 8),
}
"""Where a file's code goes: behind this, so far indented. By default it is the file's end."""


def blocks(section):
    """The Python code of a section."""
    return re.findall(r"^```python\n(.*?)^```", SECTIONS[section], re.M | re.S)


def changes(section):
    """The files that a section has one change, with what is added to each."""
    found = re.findall(
        r"^\d+\. `([\w/.]+)`.*?^   ```\w+\n(.*?)^   ```", SECTIONS[section], re.M | re.S
    )
    return [(path, dedent(code)) for path, code in found]


def add(path, code, tree, heading):
    """Add code to a file of a copy, as the guide says."""
    file = tree / path
    text = file.read_text("utf-8") if file.exists() else ""
    pattern, spaces = ENDS.get(path, (r"^.*\Z", 0))
    if path == "kernels/README.md":
        pattern = rf"^{heading}\n.*?^\| --- .*?\n(?=\n)"
    place = re.search(pattern, text, re.M | re.S).end()
    code = indent(code, spaces * " ")
    blank = "\n" if path.endswith("contract.py") else ""
    file.write_text(text[:place] + blank + code + text[place:], "utf-8")


def list_name(path, name, tree, where):
    """Add a name to a list of a file."""
    file = tree / path
    text = file.read_text("utf-8")
    assert where in text
    file.write_text(text.replace(where, where + name, 1), "utf-8")


@pytest.fixture(scope="module")
def names():
    """What the blocks that belong into no file define."""
    defined = {"nnkit": nnkit}
    for section in SECTIONS:
        if section not in CHANGES:
            for block in blocks(section):
                exec(compile(block, f"docs/extending.md: {section}", "exec"), defined)
    return defined


def test_every_block_is_run():
    fences = re.findall(r"^ *```\w", TEXT, re.M)
    here = [block for section in SECTIONS if section not in CHANGES for block in blocks(section)]
    there = [change for section in CHANGES for change in changes(section)]
    assert len(fences) == len(here) + len(there)
    assert len(here) == 6
    assert len(there) == 15


def test_files_that_are_named_exist():
    made = {path for path, _ in changes("An operation")}
    for path in re.findall(r"`((?:nnkit|kernels|tests|examples|docs)/[\w/.]+)`", TEXT):
        assert path in made or (ROOT / path).exists(), path


# ---------------------------------------------------------------------- in a program


@pytest.mark.parametrize("name", ["Square", "Scale", "Gated"])
def test_layers(backend, rng, tmp_path, names, name):
    gate = nnkit.Sequential(nnkit.Linear(3, 4), nnkit.Sigmoid())
    layers = {
        "Square": lambda: (nnkit.Linear(3, 4), names["Square"]()),
        "Scale": lambda: (names["Scale"](3), nnkit.Linear(3, 4)),
        "Gated": lambda: (names["Gated"](nnkit.Linear(3, 4), gate),),
    }[name]()
    options = {"seed": 1, "dtype": "float64", "backend": backend}
    model = nnkit.Sequential(*layers, nnkit.Linear(4, 2), **options)
    x, t = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    with nnkit.use_backend(backend):
        check = nnkit.gradcheck(model, nnkit.MeanSquaredError(), x, t, samples=6)
    assert check, str(check)
    assert any(path.startswith("0.") for path in check.errors) or name == "Square"
    model.save(tmp_path / "model.safetensors")
    again = nnkit.load(tmp_path / "model.safetensors", backend, custom_layers=[names[name]])
    assert repr(again) == repr(model)
    assert backend.to_numpy(again(x)).tolist() == backend.to_numpy(model(x)).tolist()


def test_shapes_that_do_not_fit(names):
    with pytest.raises(ValueError, match=r"Scale\(n=3\) takes rows of 3 numbers, not of shape"):
        nnkit.Sequential(nnkit.Linear(2, 4), names["Scale"](3), backend="numpy")


def test_loss_and_optimizer(backend, rng, names):
    """Both in a trainer, step by step; the optimizer against its formula, with a schedule."""
    x, t = rng.normal(size=(6, 3)), rng.normal(size=(6, 1))
    model = nnkit.Sequential(nnkit.Linear(3, 1), seed=1, dtype="float64", backend=backend)
    with nnkit.use_backend(backend):
        check = nnkit.gradcheck(model, names["Absolute"](), x, t, samples=6)
    assert check, str(check)
    W = np.array(backend.to_numpy(model[0].W.value))
    b = np.array(backend.to_numpy(model[0].b.value))
    trainer = nnkit.Trainer(model, names["Absolute"](), names["SignMomentum"](0.1, 0.8))
    history = trainer.fit(x, t, epochs=2, batch_size=6, shuffle=False, compile=False)
    m, losses = [0, 0], []
    for _ in range(2):
        difference = x @ W + b - t
        losses.append(abs(difference).mean())
        dy = np.sign(difference) / 6
        m = [0.8 * old + 0.2 * g for old, g in zip(m, (x.T @ dy, dy.sum(axis=0)), strict=True)]
        W, b = W - 0.1 * np.sign(m[0]), b - 0.1 * np.sign(m[1])
    np.testing.assert_allclose(history.loss, losses, rtol=1e-12)
    np.testing.assert_allclose(backend.to_numpy(model[0].W.value), W, rtol=1e-12)
    np.testing.assert_allclose(backend.to_numpy(model[0].b.value), b, rtol=1e-12)


def test_backend(rng, names):
    backend = names["CountingBackend"]()
    model = nnkit.Sequential(nnkit.Linear(3, 4), nnkit.ReLU(), seed=1, backend=backend)
    model(rng.normal(size=(5, 3)))
    assert backend.count == {"matmul": 1, "bias_activation": 1}


# ---------------------------------------------------------------------- in the sources


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the sources, with the guide's activation and its operation."""
    copy = tmp_path_factory.mktemp("extending")
    ignored = shutil.ignore_patterns("__pycache__", ".*")
    for folder in ("nnkit", "kernels", "tests"):
        shutil.copytree(ROOT / folder, copy / folder, symlinks=True, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", copy)
    for path, code in changes("An activation"):
        add(path, code, copy, "## Activations")
    list_name("nnkit/layers/activations.py", '\n    "Arctan",', copy, "__all__ = [")
    for path, code in changes("An operation"):
        add(path, code, copy, "# Kernels")
    backend = "nnkit/backends/cupy/backend.py"
    list_name(backend, "\n    cube,", copy, "from nnkit.backends.cupy import (")
    list_name(backend, "cube, ", copy, "KERNELS = implementations(\n    *(")
    return copy


def test_activation_and_operation_work_in_the_sources(tree):
    """In one process, on the backends of this run: numbers, names, and what the suite asks for."""
    tests = "extended.py", "operations/test_cube.py", "test_registries.py"
    tables = "test_kernel_table.py", "test_contract.py"
    paths = [f"tests/{name}" for name in (*tests, *tables)]
    about = "extended or cube or registries or arctan or kernel_table"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--durations=8",
        "-p",
        "no:cacheprovider",
        "-k",
        about,
        *paths,
    ]
    environment = os.environ | {"PYTHONPATH": str(tree), "NNKIT_TEST_DTYPES": "float64"}
    done = subprocess.run(
        command, cwd=tree, env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
