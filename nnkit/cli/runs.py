"""What is to be trained: a new run from the command line's options, or one that goes on."""

from __future__ import annotations

import contextlib
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from numpy.typing import NDArray

from nnkit import augment as augmentation
from nnkit.augment import Augment
from nnkit.backends import NAMES, VARIABLE, Backend, BackendUnavailableError, get_backend
from nnkit.cli import checkpoints, networks
from nnkit.cli.command import Failure, notice
from nnkit.cli.ranks import fetch, here
from nnkit.cli.settings import Settings
from nnkit.data import DataError, Dataset, available
from nnkit.data.table_files import SUFFIXES as TABLES
from nnkit.files import locking
from nnkit.optimizers import SGD, AdaGrad, Adam, AdamW, Optimizer, RMSProp
from nnkit.schedules import Cosine, Schedule
from nnkit.training import Trainer
from nnkit.training.ranks import Ranks

SMALL = 10_000
"""With fewer examples than this, the default is more epochs of smaller batches."""


@dataclass(frozen=True)
class Run:
    """A trainer with its data and the place for its results."""

    trainer: Trainer
    dataset: Dataset
    about: dict[str, Any]
    """What the checkpoint is to say about the data."""
    schedule: Schedule | None
    epochs: int
    batch_size: int
    checkpoint: Path
    augment: Augment

    @property
    def x_train(self) -> NDArray[Any]:
        """The training images: rows, or images where they are changed."""
        rows = self.dataset.x_train
        return rows.reshape(-1, *image_shape(self.dataset)) if self.augment else rows


def image_shape(dataset: Dataset) -> tuple[int, ...]:
    """Return the shape of an image; raises where the data are none."""
    if dataset.image_shape is None:
        raise Failure(f"--augment changes images, which {dataset.name} has not")
    return dataset.image_shape


def start(data: str | None, backend: str | None, out: Path | None, settings: Settings) -> Run:
    """Make a new run, and a folder for it; `data` None is the default data set."""
    target, ranks = get_backend(backend), here()
    fetch(ranks, data)
    if data is None:
        dataset, source = _default_dataset()
    else:
        dataset, source = checkpoints.load_dataset(
            data, settings.image_size, settings.color, **settings.table
        )
    dataset = dataset.as_rows()
    n = len(dataset.x_train)
    few = 20 if dataset.noun == "images" else 50
    epochs, batch_size = (few, min(n, 32)) if n < SMALL else (5, 128)
    batch_size = settings.batch_size or batch_size
    if batch_size > n:
        raise Failure(f"--batch-size {batch_size} is more than the {n:,} training {dataset.noun}")
    if settings.augment:
        augmentation.changes(settings.augment, (n, *image_shape(dataset)))
    model = networks.build(settings, dataset, target)
    optimizer = build_optimizer(settings)
    about = checkpoints.about(dataset, source, target, settings.model)
    return Run(
        Trainer(model, None if dataset.n_classes else "mse", optimizer, ranks.communicator),
        dataset,
        about,
        Cosine() if settings.schedule == "cosine" else None,
        settings.epochs or epochs,
        batch_size,
        _folder_of_all(ranks, out, dataset.name) / checkpoints.MODEL,
        settings.augment,
    )


def _default_dataset() -> tuple[Dataset, str]:
    mnist = next(info for info in available() if info.name == "mnist")
    if mnist.location is None:
        notice("mnist is not on this machine: trying to download it")
    try:
        return checkpoints.load_dataset("mnist")
    except DataError as error:
        notice(f"training on digits instead: {error}")
        return checkpoints.load_dataset("digits")


def build_optimizer(settings: Settings) -> Optimizer:
    """Make the optimizer that the options ask for."""
    name = settings.optimizer
    lr = settings.rate
    decay: dict[str, Any] = (
        {} if settings.weight_decay is None else {"weight_decay": settings.weight_decay}
    )
    if name in {"sgd", "momentum"}:
        return SGD(lr, momentum=0.9 if name == "momentum" else 0, **decay)
    classes: dict[str, type[Optimizer]] = {
        "adagrad": AdaGrad,
        "rmsprop": RMSProp,
        "adam": Adam,
        "adamw": AdamW,
    }
    return classes[name](lr, **decay)


def _folder_of_all(ranks: Ranks, out: Path | None, name: str) -> Path:
    """Return the folder that rank 0 makes."""
    folder: Path = ranks.first(_make_folder(out, name) if ranks.rank == 0 else None)
    return folder


def _make_folder(out: Path | None, name: str) -> Path:
    """Make and claim the folder for the results; never one that has a run in it."""
    suffixes = (".npz", *TABLES)
    stem = next((name.removesuffix(each) for each in suffixes if name.endswith(each)), name)
    base = Path("runs", stem or "data")
    try:
        if out is None:
            return _claimed(_make_free_folder(base))
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(
            f"{out or base} cannot be made: {error.strerror}; choose a folder with --out"
        ) from error
    old = _claimed(out) / checkpoints.MODEL
    if old.exists():
        raise Failure(
            f"{out} has a run already: choose another folder, or continue it with "
            f"--resume {shlex.quote(str(old))}"
        )
    return out


def _claimed(folder: Path) -> Path:
    """Keep other processes from running in a folder, until this command ends."""
    if not click.get_current_context().with_resource(locking.folder(folder)):
        raise Failure(f"another process is training in {folder}: wait for its end, or choose --out")
    return folder


def _make_free_folder(base: Path) -> Path:
    base.parent.mkdir(exist_ok=True)
    for folder in (base, *(base.with_name(f"{base.name}-{i}") for i in range(2, 10_000))):
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            return folder
    raise Failure(f"{base.parent} is full of runs: choose a folder with --out")


def resume(path: str, data: str | None, backend: str | None, epochs: int | None) -> Run:
    """Read the run that the checkpoint `path` is of; `epochs` changes how many it shall have."""
    file = checkpoints.model_file(path)
    if file.is_symlink():  # saving replaces the file behind it, so that one's folder is in use
        file = file.resolve()
    path = str(file)
    ranks = here()
    if file.is_file() and ranks.rank == 0:
        _claimed(file.parent)
    trainer = Trainer.load(path, "numpy", communicator=ranks.communicator)
    checkpoints.check_about(trainer, path)
    progress = trainer.progress
    if progress is None:
        raise Failure(f"{path} holds a network that was never trained: there is no run to resume")
    total = progress.epochs if epochs is None else epochs
    if total <= progress.epoch:
        raise Failure(
            f"{path} has done {progress.epoch} of {progress.epochs} epochs: to go on, give "
            f"--epochs with more than {progress.epoch}"
        )
    target = _backend_of_run(trainer, backend)
    dataset, source = checkpoints.dataset_of(trainer, path, data, moved=True)
    about = checkpoints.about(dataset, source, target, trainer.extra.get("network"))
    if trainer.extra.get("checksum", about["checksum"]) != about["checksum"]:
        raise Failure(f"{path} was trained on other {dataset.noun} or labels than {source} has now")
    trainer.model.to(target)
    how = trainer.schedule, total, progress.batch_size
    return Run(trainer, dataset, about, *how, file, trainer.augment)


def _backend_of_run(trainer: Trainer, option: str | None) -> Backend:
    """Return the chosen backend, else the one the run was on, which alone continues it exactly."""
    before = trainer.extra.get("backend")
    if option is None and not os.environ.get(VARIABLE) and before in NAMES:
        try:
            return get_backend(before)
        except BackendUnavailableError as error:
            notice(f"{error}; continuing without it")
    return get_backend(option)
