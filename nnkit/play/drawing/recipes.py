"""Networks for digits that are trained in seconds, and kept in the user's cache."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import nnkit
from nnkit.augment import Augment, Rotate, Scale, Shift
from nnkit.backends import Backend
from nnkit.checkpoint import CheckpointError
from nnkit.data import DataError, available, load
from nnkit.files.caches import user_cache
from nnkit.layers import Flatten, Layer, Linear, Sequential
from nnkit.models import lenet
from nnkit.optimizers import Adam
from nnkit.play.drawing import big_digits
from nnkit.schedules import Cosine
from nnkit.training import Trainer

SEED = 0
CHANGES: Augment = (Shift(2), Rotate(15), Scale(0.15))
REHEARSED = 1000
"""Images that are kept with a network, for it not to forget them when it is taught others."""

Examples = tuple[NDArray[Any], NDArray[np.int64]]


def _dense(activation: str) -> Sequential:
    layers: list[Layer | str] = [Flatten(), Linear(784, 128), activation, Linear(128, 64)]
    return Sequential(*layers, activation, Linear(64, 10), seed=SEED, backend="numpy")


@dataclass(frozen=True)
class Recipe:
    """A network, and how it is trained: `epochs` by the name of the data."""

    make: Callable[[], Sequential]
    epochs: dict[str, int]
    lr: float


RECIPES = {
    "mlp": Recipe(lambda: _dense("relu"), {"mnist": 3, "digits": 50}, 0.002),
    "sigmoid": Recipe(lambda: _dense("sigmoid"), {"mnist": 4, "digits": 50}, 0.005),
    "lenet": Recipe(
        lambda: lenet((28, 28), seed=SEED, backend="numpy"), {"mnist": 2, "digits": 30}, 0.002
    ),
}
"""Two layers of ReLU, the same of sigmoids, and LeNet-5."""


def first(backend: Backend) -> str:
    """Name the network that is trained before the page opens.

    LeNet-5 reads best; the plain formulas of the numpy backend would take a minute for it.
    """
    return "mlp" if backend.name == "numpy" else "lenet"


def made(name: str, data: str, backend: Backend, training: Callable[[], None]) -> Trainer:
    """The trained network of a recipe: from the cache, or after a call of `training` trained now.

    `data` is "mnist", which must be on this machine, or "digits". The trainer's `extra` says of
    which kind its images are, and has some of them, "rehearsal", with labels, "rehearsal_labels".
    """
    file = _file(name, data)
    with contextlib.suppress(OSError, CheckpointError):  # damaged: it is trained anew
        return Trainer.load(file, backend)
    training()
    trainer = _trained(RECIPES[name], data, backend)
    with contextlib.suppress(OSError):  # no room: it is trained again the next time
        file.parent.mkdir(parents=True, exist_ok=True)
        trainer.save(file, **trainer.extra)
    return trainer


def source(backend: Backend, said: Callable[[str], None]) -> str:
    """Name the data that networks are trained on: "mnist" where it can be had, else "digits"."""
    mnist = next(info for info in available() if info.name == "mnist")
    if mnist.location is not None:
        return "mnist"
    if _file(first(backend), "digits").exists():
        return "digits"  # as it was decided before: not each start is to wait for a network
    said("mnist is not on this machine: trying to download it")
    try:
        load("mnist")
    except DataError as error:
        said(f"training on digits instead: {error}")
        return "digits"
    return "mnist"


def _file(name: str, data: str) -> Path:
    """Where a network is kept: another for other data, another recipe, another nnkit."""
    recipe = RECIPES[name]
    how = (recipe.make().config(), recipe.epochs[data], recipe.lr, CHANGES, nnkit.__version__)
    return user_cache("nnkit") / "play" / f"{name}-{data}-{zlib.crc32(repr(how).encode()):08x}"


def _trained(recipe: Recipe, data: str, backend: Backend) -> Trainer:
    x, t = _examples(data)
    trainer = Trainer(recipe.make().to(backend), optimizer=Adam(recipe.lr))
    trainer.fit(
        x,
        t,
        recipe.epochs[data],
        batch_size=128 if data == "mnist" else 32,
        schedule=Cosine(),
        augment=CHANGES,
        progress=False,
    )
    chosen = np.random.default_rng(SEED).permutation(len(x))[:REHEARSED]
    trainer.extra = {
        "image_shape": (28, 28),
        "pixel_range": (0.0, 1.0),
        "preparation": "mnist",
        "class_names": tuple("0123456789"),
        "rehearsal": x[chosen],
        "rehearsal_labels": t[chosen],
    }
    return trainer


def _examples(data: str) -> Examples:
    """Images (n, 28, 28) and labels to train on."""
    found = load(data)
    if data == "digits":
        return big_digits.as_mnist(found, copies=2)
    return found.x_train.reshape(-1, 28, 28), found.t_train
