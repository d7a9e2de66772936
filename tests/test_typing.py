"""Type checkers see an installed nnkit, and pass what users write."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests import user_program

PROGRAM = Path(user_program.__file__)
WRONG = """
import nnkit

model = nnkit.Sequential(nnkit.Linear(2, 3), seed="zero")
nnkit.Trainer(model).fit([[1, 2]], [0], epoch=3)
nnkit.Trainer(model).fit([[1, 2]], [0]).loss.mean()
nnkit.Dense(2)
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """A Python with nnkit installed as ``pip install -e .`` does, by a path file."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, symlinks=os.name == "posix")
    paths = {"base": str(folder), "platbase": str(folder)}
    site = Path(sysconfig.get_path("purelib", "venv", vars=paths))
    site.joinpath("nnkit.pth").write_text(
        f"{PROGRAM.parents[1]}\n{sysconfig.get_path('purelib')}\n"
    )
    return Path(sysconfig.get_path("scripts", "venv", vars=paths), Path(sys.executable).name)


@pytest.fixture(params=["mypy", "pyright"])
def checked(request, python, tmp_path):
    """Lines that a type checker prints of a program."""
    pytest.importorskip(request.param)
    options = {"mypy": ("--strict", "--python-executable"), "pyright": ("--pythonpath",)}

    def check(text):
        tmp_path.joinpath("program.py").write_text(text, "utf-8")
        command = sys.executable, "-m", request.param, *options[request.param], python
        done = subprocess.run(
            [*command, "program.py"],
            check=False,
            cwd=tmp_path,
            env={**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
            capture_output=True,
            encoding="utf-8",
            timeout=300,
        )
        return done.stdout.splitlines()

    return check


def test_what_users_write_passes_and_what_is_wrong_does_not(checked):
    """In one run for either: a second would cost seconds again."""
    wrong = PROGRAM.read_text("utf-8") + WRONG
    errors = [line for line in checked(wrong) if ": error:" in line or " - error:" in line]
    assert len(errors) == 4, "\n".join(errors)
    for error, name in zip(errors, ("seed", "epoch", "mean", "Dense"), strict=True):
        assert name in error


def test_it_runs(tmp_path, capsys):
    user_program.main(tmp_path)
    assert capsys.readouterr().out.endswith("True\n")
