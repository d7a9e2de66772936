"""The command line, started several times by mpiexec."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from nnkit.cli import cli
from nnkit.cli import ranks as ranks_of_cli
from nnkit.distributed import Communicator, RankError

SECONDS = 60
MPIEXEC = Path(sys.executable).with_name("mpiexec")
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Work in an empty folder, on NumPy, by one thread a process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NNKIT_BACKEND", "numpy")
    monkeypatch.setenv("NNKIT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    monkeypatch.setenv("NNKIT_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


def mpiexec(*arguments, size=2):
    """Run a command on ranks; none of them outlives it."""
    launcher = str(MPIEXEC) if MPIEXEC.exists() else shutil.which("mpiexec")
    if launcher is None or find_spec("mpi4py") is None:
        pytest.skip("needs mpi4py and mpiexec")
    command = [launcher, "-n", str(size), sys.executable, "-m", "nnkit", *map(str, arguments)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True)
    try:
        out, err = process.communicate(timeout=SECONDS)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return process.returncode, out, err


def alone(*arguments):
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def history(folder):
    found = json.loads(Path(folder, "history.json").read_text())
    return {name: values for name, values in found.items() if name != "seconds"}


def test_two_ranks_train_as_one_process_and_go_on_as_one():
    options = "train", "digits", "--hidden", 16, "--dtype", "float64", "--dropout", 0.2
    code, out, err = mpiexec(*options, "--epochs", 2, "--out", "two")
    assert (code, err) == (0, "")
    assert out.count("epoch 2/2") == 1
    assert "ranks      2, each with a share of every batch\n" in out
    assert "backend    numpy on 1 CPU thread a rank\n" in out
    alone(*options, "--epochs", 2, "--out", "one", "--quiet")
    for name, values in history("one").items():
        np.testing.assert_allclose(history("two")[name], values, 1e-9, err_msg=name)
    for run in ("one", "two"):
        alone("train", "--resume", run, "--epochs", 3, "--quiet")
    np.testing.assert_allclose(history("two")["loss"], history("one")["loss"], 1e-9)
    assert len(history("two")["loss"]) == 3


def test_an_error_is_told_once():
    code, out, err = mpiexec("train", "digits", "--batch-size", 1, "--quiet")
    assert code == 1
    assert out == ""
    assert err.splitlines()[0] == (
        "nnkit: error: batch_size 1 is less than the 2 ranks, which each need an example: give a "
        "batch_size of at least 2, or start fewer ranks"
    )
    assert err.count("nnkit: error") == 1


class Rank(Communicator):
    """One of two, of which the other says the same."""

    size = local_size = 2

    def __init__(self, rank):
        self.rank = self.local_rank = rank

    def all_reduce(self, backend, array, compress=False):
        raise NotImplementedError

    def gather(self, value):
        return [value, value]

    def fail(self, reason):
        self.reason = reason


@pytest.fixture
def on_rank(monkeypatch):
    def run(rank, *arguments):
        communicator = Rank(rank)
        monkeypatch.setattr(ranks_of_cli, "launched", lambda: True)
        monkeypatch.setattr(ranks_of_cli, "communicator", lambda: communicator)
        return CliRunner().invoke(cli, [*arguments]), communicator

    return run


@pytest.mark.parametrize("command", ["info", "predict", "plot", "bench"])
def test_commands_that_cannot_be_divided(command, on_rank):
    message = (
        f"nnkit: error: nnkit {command} is for one process, but 2 were started: leave mpiexec, "
        "srun or torchrun out (see nnkit --help)\n"
    )
    for rank, told in ((0, message), (1, "")):
        result, _ = on_rank(rank, command)
        assert (result.exit_code, result.output) == (2, told)


def test_help_is_for_any_number(on_rank):
    (first, _), (second, _) = on_rank(0), on_rank(1)
    assert first.output.startswith("Usage: ")
    assert (second.exit_code, second.output) == (first.exit_code, "")


def test_what_ends_one_rank_alone_is_told_to_the_others(on_rank):
    result, communicator = on_rank(1, "evaluate", "missing.safetensors")
    assert (result.exit_code, result.output) == (1, "")
    assert "missing.safetensors" in communicator.reason


def test_a_rank_that_was_killed(on_rank, monkeypatch):
    """Before the first epoch was saved, and after."""
    left = 0

    def all_reduce(self, backend, array, compress=False):
        nonlocal left
        left -= 1
        if left < 0:
            raise RankError("rank 1 of 2 was killed, or lost its connection")

    monkeypatch.setattr(Rank, "all_reduce", all_reduce)
    killed = "nnkit: error: rank 1 of 2 was killed, or lost its connection"
    resume = "; to continue: nnkit train --resume runs/digits/model.safetensors"
    for left, remedy in ((2, ""), (60, resume)):  # noqa: B007
        result, _ = on_rank(0, "train", "digits", "--hidden", "8", "--quiet", "--epochs", "2")
        assert (result.exit_code, result.output) == (1, f"{killed}{remedy}\n")


def test_the_traceback_of_any_rank_is_shown(on_rank, capsys):
    result, _ = on_rank(1, "--debug", "evaluate", "missing.safetensors")
    assert result.exit_code == 1
    assert result.stderr.startswith("Traceback")


def test_ranks_that_do_not_meet(monkeypatch):
    def never():
        raise ValueError("RANK=x: a whole number from 0 is expected")

    monkeypatch.setattr(ranks_of_cli, "launched", never)
    result = CliRunner().invoke(cli, ["info"])
    assert result.exit_code == 1
    assert result.output == "nnkit: error: RANK=x: a whole number from 0 is expected\n"
