"""A rank is killed again and again; its run ends, and goes on with another number of ranks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from nnkit.training import Trainer
from tests.stress.share import SHARE, first_seed, share_of

MPIEXEC = Path(sys.executable).with_name("mpiexec")
pytestmark = [
    pytest.mark.skipif(not SHARE, reason="NNKIT_STRESS is not set"),
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc"),
    pytest.mark.skipif(find_spec("mpi4py") is None or not MPIEXEC.exists(), reason="needs MPI"),
]

END_SECONDS = 20
"""After which all ranks must have ended when one was killed."""
OPTIONS = ["digits", "--hidden", "64", "--dropout", "0.1", "--batch-size", "50"]
OPTIONS += ["--dtype", "float64", "--schedule", "constant"]


def start(size: int, *arguments: object) -> subprocess.Popen[bytes]:
    command = [MPIEXEC, "-n", size, sys.executable, "-m", "nnkit", "train", *arguments, "--quiet"]
    env = {**os.environ, "NNKIT_BACKEND": "numpy", "OPENBLAS_NUM_THREADS": "1"}
    null = subprocess.DEVNULL
    return subprocess.Popen([*map(str, command)], env=env, stdout=null, stderr=null)


def ranks_of(folder: Path) -> list[int]:
    """Processes of the run in a folder, which their commands name."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it has ended
            continue
        if words[0] == os.fsencode(sys.executable) and os.fsencode(folder) in words:
            found.append(int(entry.name))
    return found


def wait(process: subprocess.Popen[bytes], folder: Path) -> int:
    """Return the exit code of a run that is to end now; none of its ranks is left."""
    code = process.wait(END_SECONDS)
    last = time.monotonic() + END_SECONDS
    while ranks_of(folder) and time.monotonic() < last:
        time.sleep(0.1)
    assert not ranks_of(folder)
    return code


def losses(folder: Path) -> list[float]:
    found: list[float] = json.loads((folder / "history.json").read_text())["step_loss"]
    return found


def test_a_chain_of_killed_ranks(tmp_path):
    rng = np.random.default_rng(first_seed())
    whole, chain = tmp_path / "whole", tmp_path / "chain"
    checkpoint = chain / "model.safetensors"
    process, kills = start(2, *OPTIONS, "--epochs", 100_000, "--out", chain), share_of(30, 1)
    try:
        while not checkpoint.exists() and process.poll() is None:
            time.sleep(0.01)
        for _ in range(kills):
            time.sleep(rng.uniform(0.5, 3))  # they may start, meet, load, train or save
            while not (ranks := ranks_of(chain)):
                time.sleep(0.01)
            os.kill(int(rng.choice(ranks)), signal.SIGKILL)
            assert wait(process, chain) != 0
            process = start(int(rng.integers(2, 4)), "--resume", chain)
        process.kill()
        wait(process, chain)
        epochs = Trainer.load(checkpoint, "numpy").progress.epoch + 2
        assert start(2, "--resume", chain, "--epochs", epochs).wait(60) == 0
    finally:
        process.kill()
        for rank in ranks_of(chain):
            os.kill(rank, signal.SIGKILL)
    assert start(1, *OPTIONS, "--epochs", epochs, "--out", whole).wait(300) == 0
    assert len(losses(chain)) == len(losses(whole))
    np.testing.assert_allclose(losses(chain), losses(whole), 1e-6, 1e-9)
