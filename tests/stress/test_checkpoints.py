"""Damaged checkpoints are refused with an error, or are what they were, or are sound."""

from __future__ import annotations

import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnkit
from nnkit.backends import get_backend
from nnkit.cli.checkpoints import load_classifier
from nnkit.recognising import class_names
from tests.stress.bytes import damaged
from tests.stress.checkpoints import (
    CLASSES,
    change_config,
    change_tensors,
    data,
    originals,
    pack,
    unpack,
)
from tests.stress.share import SHARE, first_seed, share_of
from tests.stress.survey import survey

pytest.importorskip("numba")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits as Linux has them")
PARTS = 2 if SHARE else 1
MUTANTS = share_of(10_000, 60)


@pytest.mark.parametrize("part", range(PARTS))
def test_damaged_checkpoints(part):
    count = MUTANTS // PARTS
    found = survey(f"{__name__}:attempt", first_seed() + part * count, count)
    found.check("refused", "sound")


def prepare() -> None:
    """Make the files to damage, and load what is loaded when it is needed first."""
    import_module("nnkit.given.foreign")
    with tempfile.TemporaryDirectory() as folder:
        for file in originals():
            Path(folder, "original").write_bytes(file)
            go_on(read(Path(folder, "original")), Path(folder))


def attempt(seed: int, folder: Path) -> str:
    """Damage a checkpoint, read it, and go on with what comes of it."""
    rng = np.random.default_rng(seed)
    original = originals()[rng.integers(len(originals()))]
    path = folder / "mutant.safetensors"
    kind = rng.integers(4)
    if kind == 0:
        path.write_bytes(damaged(original, rng))
    else:
        tensors, config = unpack(original, folder)
        with np.errstate(all="ignore"):
            for _ in range(rng.integers(1, 3)):
                (change_config if kind < 3 else change_tensors)(tensors, config, rng)
        path.write_bytes(pack(tensors, config))
    (folder / "original").write_bytes(original)
    try:
        trainer = read(path)
    except nnkit.CheckpointError as error:
        assert str(path) in str(error)
        assert str(error).isprintable()
        return "refused"
    if kind == 0 and b"checksum" in original:
        assert content(trainer) == content(read(folder / "original")), "it is another"
    return go_on(trainer, folder)


def read(path: Path) -> Any:
    """Read a trainer, or where a file holds a model only, one around that, as `nnkit predict`."""
    trainer = load_classifier(str(path), get_backend("numba"))
    assert len(class_names(trainer, CLASSES)) == CLASSES
    return trainer


def content(trainer: Any) -> list[Any]:
    """All that a file says."""
    slots, counters = trainer.optimizer.state()
    arrays = [*trainer.model.state().values(), counters]
    arrays += [x for name in sorted(slots) for x in slots[name]]
    kept = [x for _, state in sorted(trainer.kept().items()) for _, x in sorted(state.items())]
    arrays += [*kept, *trainer.history.state().values()]
    configs = trainer.model.config(), trainer.optimizer.config(), trainer.loss.config()
    log = None if trainer.log is None else trainer.log.tobytes()
    run = trainer.progress, trainer.schedule, trainer.epochs_made, log
    rest = repr((configs, run, trainer.extra))
    return [*((x.dtype, x.shape, x.tobytes()) for x in arrays), rest]


def go_on(trainer: Any, folder: Path) -> str:
    """Train to the end of the next epoch, save and read again."""
    x, t = data()
    if trainer.progress is None:
        features = trainer.model.input_shape
        trainer.model(x if features is None else np.ones((3, *features), "f4"))
        return "sound"
    epochs = min(trainer.progress.epochs, trainer.progress.epoch + 1)
    try:
        with np.errstate(all="ignore"):
            stopping = nnkit.EarlyStopping("loss", 9)
            trainer.resume(x, t, max(1, epochs), callbacks=[stopping])
        trainer.save(folder / "again", **trainer.extra)
    except (ValueError, nnkit.DivergenceError, UserWarning) as error:
        assert str(error).isprintable()
        return type(error).__name__
    again = read(folder / "again")
    assert content(again) == content(trainer)
    return "sound"
