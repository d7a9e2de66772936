"""What a checkpoint says beside the training state: on which data, and how to prepare images."""

from __future__ import annotations

import zlib
from math import inf, prod
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

import nnkit
from nnkit.backends import Backend
from nnkit.checkpoint import NoTrainingStateError, damaged
from nnkit.cli import tables
from nnkit.cli.command import Failure
from nnkit.cli.ranks import here
from nnkit.data import Dataset, Table, available, load
from nnkit.data.table_files import is_table
from nnkit.files.checking import check
from nnkit.files.paths import expand
from nnkit.images import Preparation, preparation
from nnkit.losses import SoftmaxCrossEntropy
from nnkit.recognising import as_taken, input_features
from nnkit.training import Trainer

MODEL = "model.safetensors"

LARGEST = 10_000
"""Rows and columns that an image may have."""


class About(TypedDict, total=False):
    """What `about` says, and what the commands rely on; a file may hold other things besides."""

    data: str
    checksum: int
    image_shape: tuple[int, int] | tuple[int, int, int] | None
    pixel_range: tuple[float, float]
    class_names: tuple[str, ...]
    preparation: Preparation
    backend: str
    network: str | None


def check_about(trainer: Trainer, path: str) -> None:
    """Raise CheckpointError where a file does not say `About` the data what it should."""
    extra = trainer.extra
    with damaged(path, "what it says about its data is damaged"):
        check(extra, About, "its extra")
        shape = extra.get("image_shape")
        if shape is not None and not (
            0 < min(shape) <= max(shape) <= LARGEST and as_taken(trainer.model, tuple(shape))
        ):
            raise ValueError(f"its image_shape cannot be {shape!r}")
        outputs, names = trainer.model.out_features, extra.get("class_names", ())
        if len({*names}) < len(names):
            raise ValueError("two of its class_names are the same")
        if outputs is not None and len(names) > outputs:
            raise ValueError(f"it has {len(names)} class_names for {outputs} outputs")
        low, high = extra.get("pixel_range", (0, 1))
        if not -inf < low <= high < inf:
            raise ValueError(f"its pixel_range cannot be {low} to {high}")
        encoder = tables.encoder_of(trainer)
        if encoder is not None and input_features(trainer) != len(encoder.feature_names):
            raise ValueError("its table has not as many numbers as the network takes")


def about(dataset: Dataset, source: str, backend: Backend, network: str | None) -> dict[str, Any]:
    """Describe a run, for `Trainer.save`: its data, of a name or at an absolute path, `source`.

    `network` is the name of one of `nnkit.models`.
    """
    images = dataset.x_train
    as_bytes = images.dtype == np.uint8
    return {
        "data": source,
        "checksum": checksum(dataset),
        "image_shape": dataset.image_shape,
        "pixel_range": [0.0, 1.0] if as_bytes else [float(images.min()), float(images.max())],
        "class_names": dataset.class_names,
        "preparation": preparation(dataset),
        "backend": backend.name,
        "network": network,
        **({"table_encoder": dataset.encoder.config()} if isinstance(dataset, Table) else {}),
    }


def checksum(dataset: Dataset) -> int:
    """CRC-32 of the training images and labels."""
    return zlib.crc32(dataset.t_train.data, zlib.crc32(dataset.x_train.data))


def load_dataset(
    name_or_path: str, image_size: tuple[int, int] | None = None, color: bool = False, **table: Any
) -> tuple[Dataset, str]:
    """Load a data set; return it with what `about` keeps to find it again from any folder.

    `table` has what `nnkit.data.load` is told of one.
    """
    names = [info.name for info in available()]
    dataset = load(name_or_path, image_size=image_size, color=color, **table)
    return dataset, name_or_path if name_or_path in names else str(expand(name_or_path).resolve())


def refuse_table(data: str, why: str) -> None:
    """Raise Failure for a table, of which no column is named where none is expected."""
    path = expand(data)
    if is_table(path) and path.is_file():
        raise Failure(f"{data} is a table, {why}")


def dataset_of(
    trainer: Trainer, path: str, data: str | None, moved: bool = False
) -> tuple[Dataset, str]:
    """Load `data`, or where that is None the data the checkpoint `path` was trained on.

    `moved` says that `data` is what it was trained on, in another place.
    """
    if (encoder := tables.encoder_of(trainer)) is not None:
        table = tables.dataset_of(encoder, trainer.extra.get("data"), path, data, moved)
        return table, str(expand(data or trainer.extra["data"]).resolve())
    if data is None:
        data = trainer.extra.get("data")
    if not isinstance(data, str):
        raise Failure(f"{path} does not say which data it was trained on: name it, as DATA")
    refuse_table(data, f"which {path} was not trained on")
    size = tuple(trainer.extra.get("image_shape") or ())
    dataset, source = load_dataset(data, size[:2] or None, color=size[2:] == (3,))
    shape = as_taken(trainer.model, dataset.image_shape or dataset.x_train.shape[1:])
    if shape is None:
        raise Failure(
            f"{path} takes images of {input_features(trainer)} numbers, "
            f"but those of {dataset.name} have {prod(dataset.x_train.shape[1:])}"
        )
    dataset = dataset.shaped(*shape)
    known = tuple(trainer.extra.get("class_names") or ())
    both_named = _have_names(known) and _have_names(dataset.class_names)
    if both_named and dataset.class_names != known[: dataset.n_classes]:
        raise Failure(
            f"{path} tells {_listed(known)} apart, but the classes of {dataset.name} are "
            f"{_listed(dataset.class_names)}: they must be the same, in the same order"
        )
    return dataset, source


def _have_names(classes: tuple[str, ...]) -> bool:
    """Whether classes are called something else than their numbers."""
    return classes != tuple(map(str, range(len(classes))))


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:10]) + (" ..." if len(names) > 10 else "")


def model_file(path: str) -> Path:
    """Return the file that `path` names, or the checkpoint in a run's folder."""
    file = expand(path)
    return file / MODEL if (file / MODEL).exists() else file


def load_trainer(path: str, backend: Backend) -> Trainer:
    """Load a trainer, or one around the model where the file holds no more than that."""
    file, communicator = model_file(path), here().communicator
    try:
        trainer = Trainer.load(file, backend, communicator=communicator)
    except NoTrainingStateError:
        trainer = Trainer(nnkit.load(file, backend), communicator=communicator)
    check_about(trainer, path)
    return trainer


def load_classifier(path: str, backend: Backend) -> Trainer:
    """Load a trainer of a network that tells classes apart."""
    return checked_classifier(load_trainer(path, backend), path)


def checked_classifier(trainer: Trainer, path: str) -> Trainer:
    """Return a trainer of a network that tells classes apart; raises Failure for another."""
    if not isinstance(trainer.loss, SoftmaxCrossEntropy):
        raise Failure(f"{path} was trained with {trainer.loss}: it does not tell classes apart")
    return trainer
