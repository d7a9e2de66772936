"""A run that is killed again and again, and resumed, ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.stress.share import SHARE, first_seed, share_of

pytest.importorskip("numba")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

PARTS = 2 if SHARE else 1
KILLS = share_of(200, 2) // PARTS
WIDTHS = "512,512" if SHARE else "64"
"""Wide enough that a good part of the time is spent in saving."""


def start(*arguments: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "nnkit", "train", *map(str, arguments), "--quiet"]
    env = {**os.environ, "NNKIT_BACKEND": "numba"}  # the suite's own is another
    return subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(*arguments: object) -> None:
    with start(*arguments) as process:
        _, said = process.communicate(timeout=300)
    assert (process.returncode, said) == (0, b"")


def kill(process: subprocess.Popen[bytes], checkpoint: Path, rng: np.random.Generator) -> None:
    """Kill a process with its checkpoint an epoch or two further, at a random moment.

    In half of the cases it is one in which a temporary file is there.
    """
    for _ in range(rng.integers(1, 3)):
        before = state(checkpoint)
        while state(checkpoint) == before and process.poll() is None:
            time.sleep(0.001)
    if rng.random() < 0.5:
        while len(os.listdir(checkpoint.parent)) < 2 and process.poll() is None:  # noqa: PTH208
            pass
        time.sleep(rng.uniform(0, 0.002))
    else:
        time.sleep(rng.uniform(0, 0.06))
    process.kill()
    _, said = process.communicate()
    assert process.returncode == -signal.SIGKILL, (process.returncode, said.decode())


def state(path: Path) -> object:
    """What every save changes."""
    return (path.stat().st_ino, path.stat().st_mtime_ns) if path.exists() else None


def results(folder: Path) -> tuple[dict[str, bytes], object]:
    """All that a run writes, but for its times."""
    tensors = load_file(folder / "model.safetensors")
    history = json.loads((folder / "history.json").read_text())
    del tensors["history.seconds"], history["seconds"]
    return {name: array.tobytes() for name, array in tensors.items()}, history


@pytest.mark.parametrize("part", range(PARTS))
def test_a_chain_of_kills(tmp_path, part):
    rng = np.random.default_rng(first_seed() + part)
    whole, chain = tmp_path / "whole", tmp_path / "chain"
    checkpoint = chain / "model.safetensors"
    epochs = 5 * KILLS + 10  # more than there can be before the last kill, but for much luck
    options = ["digits", "--hidden", WIDTHS, "--dropout", 0.1]
    options += ["--epochs", epochs, "--batch-size", 500]
    left = 0
    for _ in range(KILLS):
        again = ["--resume", checkpoint] if checkpoint.exists() else [*options, "--out", chain]
        with start(*again) as process:
            kill(process, checkpoint, rng)
        left += len([path for path in chain.iterdir() if path != checkpoint])
    finish("--resume", checkpoint)
    finish(*options, "--out", whole)
    (tensors, history), (expected, figures) = results(chain), results(whole)
    assert tensors.keys() == expected.keys()
    assert [name for name in tensors if tensors[name] != expected[name]] == []
    assert history == figures
    assert {path.name for path in chain.iterdir()} == {path.name for path in whole.iterdir()}
    print(f"{KILLS} kills, {left} of them in the middle of a save")
