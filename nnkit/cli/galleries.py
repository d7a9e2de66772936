"""The networks that ``nnkit play`` shows: of files, or of recipes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from nnkit.backends import Backend
from nnkit.cli.checkpoints import MODEL, dataset_of, load_classifier
from nnkit.cli.command import Failure, notice
from nnkit.data import DataError, available
from nnkit.play.drawing import recipes
from nnkit.play.drawing.gallery import Examples, Exhibit, Gallery
from nnkit.recognising import Recogniser
from nnkit.training import Trainer


def of_files(checkpoints: Sequence[str], backend: Backend) -> Gallery:
    """Networks of files, all read now; raises Failure where one cannot be drawn for."""
    found: dict[str, Exhibit] = {}
    for path in checkpoints:
        recogniser = Recogniser(load_classifier(path, backend), path)
        if not recogniser.gray:
            raise Failure(f"{path} takes images in colour, which cannot be drawn")
        name = _name(path)
        while name in found:
            name += "'"
        found[name] = Exhibit(recogniser, partial(_known, recogniser.trainer, path))
    return Gallery({name: partial(_there, exhibit) for name, exhibit in found.items()})


def of_recipes(backend: Backend) -> Gallery:
    """Networks that are trained when they are asked for, and the first one that a page shows."""
    data, first = recipes.source(backend, notice), recipes.first(backend)
    names = sorted(recipes.RECIPES, key=lambda name: name != first)
    return Gallery({name: partial(_made, name, data, backend) for name in names})


def _there(exhibit: Exhibit, _: Callable[[], None]) -> Exhibit:
    return exhibit


def _made(name: str, data: str, backend: Backend, training: Callable[[], None]) -> Exhibit:
    trainer = recipes.made(name, data, backend, training)
    known = trainer.extra["rehearsal"], trainer.extra["rehearsal_labels"]
    return Exhibit(Recogniser(trainer, name), lambda: known)


def _name(path: str) -> str:
    """What a file is called on the page: its own name, or its run's."""
    file = Path(path)
    stem = file.parent.resolve().name if file.name == MODEL else file.name
    return stem.removesuffix(".safetensors") or path


def _known(trainer: Trainer, path: str) -> Examples | None:
    """Some of the images that a network was trained on, where they are on this machine."""
    absent = [info.name for info in available() if info.location is None]
    if trainer.extra.get("data") in absent:
        return None
    try:
        dataset, _ = dataset_of(trainer, path, None)
    except (DataError, OSError, Failure):
        return None
    rows = np.random.default_rng(0).permutation(len(dataset.x_train))[: recipes.REHEARSED]
    return dataset.x_train[rows], dataset.t_train[rows]
