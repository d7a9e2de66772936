"""The histories of runs, found by their files or folders, and named to be told apart."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path

from nnkit.cli.checkpoints import MODEL
from nnkit.cli.command import Failure
from nnkit.files.paths import expand
from nnkit.training import Trainer
from nnkit.training.history import History

HISTORY = "history.json"
DRAWN = 1e100
"""The largest loss that is drawn: Matplotlib's axes end somewhere above."""


def read(path: str, load: Callable[[str], Trainer]) -> History:
    """Read the history of a run: its folder, its history.json or, by `load`, its checkpoint."""
    file = expand(path)
    if file.is_dir():
        inside = [file / name for name in (MODEL, HISTORY) if (file / name).exists()]
        if not inside:
            raise Failure(f"{path} is no folder of a run: it has neither {MODEL} nor {HISTORY}")
        file = inside[0]
    history = _read_json(file) if file.suffix == ".json" else load(str(file)).history
    if not len(history):
        raise Failure(f"{path} has no finished epoch: there are no curves to draw")
    if any(DRAWN < abs(value) < inf for value in (*history.loss, *history.val_loss)):
        raise Failure(f"{path} has losses above {DRAWN:g}: there are no axes for these")
    return history


def _read_json(path: Path) -> History:
    try:
        figures = json.loads(path.read_text("utf-8"))
        read = {name: list(map(float, values)) for name, values in figures.items()}
        return History.of(History().state() | read)
    except (AttributeError, TypeError, ValueError) as error:
        raise Failure(f"{path} is no history of a run: {error}") from error


def names(paths: Sequence[str]) -> list[str]:
    """Name runs by their folders, with as many folders above as it takes to tell them apart.

    Files of other names than `nnkit train` gives them are runs by themselves.
    """
    runs = [_parts(expand(path)) for path in paths]
    for length in range(1, max(map(len, runs)) + 1):
        found = ["/".join(run[-length:]) for run in runs]
        if len(set(found)) == len(set(runs)):
            break
    return found


def _parts(path: Path) -> tuple[str, ...]:
    path = path.resolve()
    if path.name in {MODEL, HISTORY}:
        path = path.parent
    elif path.is_file():
        path = path.with_suffix("")
    return path.parts
