"""A trainer as a file's tensors and configuration, and back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from nnkit import augment, checkpoint, schedules
from nnkit.backends import Backend
from nnkit.configured import from_config
from nnkit.dtypes import arithmetic
from nnkit.files.checking import make
from nnkit.layers import Layer, Sequential
from nnkit.loading import build_model, check_made
from nnkit.losses import LOSS_CLASSES
from nnkit.optimizers import OPTIMIZERS, Optimizer
from nnkit.training import keeping
from nnkit.training.history import History
from nnkit.training.progress import Progress

if TYPE_CHECKING:
    from nnkit.training.trainer import Trainer

logger = logging.getLogger(__name__)

Arrays = Mapping[str, np.ndarray[Any, Any]]


def save(trainer: Trainer, path: str | PathLike[str], extra: dict[str, Any]) -> None:
    """Write all that `Trainer.resume` needs, and `extra`; nobody may compute meanwhile."""
    model, optimizer = trainer.model, trainer.optimizer
    if trainer.progress is not None:
        trainer.progress.check()
    optimizer.attach(model)
    slots, counters = optimizer.state()
    names = [name for name, _ in model.named_parameters()]
    of_optimizer = {
        f"{slot}.{name}": array
        for slot, arrays_of_slot in slots.items()
        for name, array in zip(names, arrays_of_slot, strict=True)
    }
    log = {} if trainer.log is None else {"log": model.backend.to_numpy(trainer.log)}
    tensors: dict[str, Arrays] = {
        "model": model.state(),
        "optimizer": {**of_optimizer, "counters": counters},
        "training": log,
        "history": trainer.history.state(),
        "callbacks": keeping.flat(trainer.kept()),
    }
    config = {
        "model": model.config(),
        "loss": trainer.loss.config(),
        "optimizer": optimizer.config(),
        "progress": None if trainer.progress is None else asdict(trainer.progress),
        "schedule": None if trainer.schedule is None else schedules.config(trainer.schedule),
        "augment": augment.config(trainer.augment),
        "epochs_made": trainer.epochs_made,
    }
    checkpoint.write(path, tensors, config, extra)
    logger.info("saved %s", path)


def load(
    make_trainer: Callable[..., Trainer],
    path: str | PathLike[str],
    backend: str | Backend | None,
    custom_layers: Sequence[type[Layer]],
) -> Trainer:
    """Read what `save` wrote. Every number is checked here, or where the model is built."""
    tensors, config = checkpoint.read(path)
    if "optimizer" not in config:
        raise checkpoint.NoTrainingStateError(
            f"{path} holds a model without a training state: use nnkit.load"
        )
    model = build_model(path, tensors, config, backend, custom_layers)
    with checkpoint.damaged(path, "its training configuration is damaged"):
        loss = _made(path, config["loss"], LOSS_CLASSES, "its loss")
        optimizer = _made(path, config["optimizer"], OPTIMIZERS, "its optimizer")
        trainer = make_trainer(model, loss, optimizer)
        _restore_run(trainer, tensors, config)
    with checkpoint.another_network(path):
        _restore_optimizer(path, model, optimizer, tensors.get("optimizer", {}))
    return trainer


def _made(path: str | PathLike[str], config: Any, classes: Mapping[str, Any], place: str) -> Any:
    """Make a loss or an optimizer of what a file says; CheckpointError where it is a user's."""
    if not (isinstance(config, dict) and "class" in config):
        raise ValueError(f"{place} cannot be {config!r}")
    if type(config["class"]) is str and config["class"] not in classes:
        raise checkpoint.CheckpointError(
            f"{path}: {place} is of the unknown class {config['class']!r}, which is not nnkit's: "
            "only the model can be read, with nnkit.load"
        )
    made = from_config(config, classes)
    check_made(made, config, place)
    return made


def _restore_run(trainer: Trainer, tensors: Mapping[str, Arrays], config: dict[str, Any]) -> None:
    """Take over where the run stands, what it recorded, and what was given to `save`."""
    old = config["version"] == 1
    trainer.history = History.of(config["history"] if old else tensors.get("history", {}))
    trainer.extra = config["extra"]
    trainer.keep(keeping.nested(tensors.get("callbacks", {})))
    progress, made = config["progress"], config["epochs_made"]
    if progress is not None:
        trainer.progress = progress = make(Progress, progress)
    expected = 0 if progress is None else progress.first_epoch + progress.epoch
    if type(made) is not int or made != expected:
        raise ValueError(f"epochs_made cannot be {made!r}")
    trainer.epochs_made = made
    if config.get("schedule") is not None:
        trainer.schedule = schedules.build(config["schedule"])
        if found := schedules.difference(config["schedule"], trainer.schedule):
            raise ValueError(found)
    trainer.augment = augment.build(config.get("augment", []))
    trainer.log = _log(tensors.get("training", {}), progress)


def _log(tensors: Arrays, progress: Progress | None) -> np.ndarray[Any, Any] | None:
    """Return the log of the steps of the last epoch, which the next one goes on with."""
    if unknown := tensors.keys() - {"log"}:
        raise ValueError(f"nnkit knows no training.{min(unknown)}")
    log = tensors.get("log")
    if log is None:
        if progress is not None and progress.step:
            raise ValueError("it has no training.log")
        return None
    if progress is None or log.dtype != np.float64 or log.ndim != 2 or log.shape[1] != 2:
        raise ValueError("its training.log is damaged")
    rows, steps = len(log), progress.steps
    if rows % steps or (progress.step and rows != steps):
        raise ValueError(f"its training.log has {rows} rows for {steps} steps")
    if not (log[: progress.step, 1] >= 0).all():
        raise ValueError("its training.log has steps with no number of right answers")
    return log


def _restore_optimizer(
    path: str | PathLike[str], model: Sequential, optimizer: Optimizer, tensors: Arrays
) -> None:
    """Give the optimizer its state for each parameter. Raises ValueError where it does not fit."""
    rest = dict(tensors)
    if "counters" not in rest:
        raise ValueError("it has no optimizer.counters")
    counters = rest.pop("counters")
    checkpoint.check_counters(path, "optimizer", counters)
    shapes = {name: p.shape for name, p in model.named_parameters()}
    known = (*optimizer.slots, "master")
    slots = [slot for slot in known if any(name.startswith(f"{slot}.") for name in rest)]
    needed = dict.fromkeys((*slots, *optimizer.used_slots()))
    wanted = {f"{slot}.{name}": shape for slot in needed for name, shape in shapes.items()}
    for name, shape in wanted.items():
        if name not in rest:
            raise ValueError(f"it has no optimizer.{name}")
        if rest[name].shape != shape:
            raise ValueError(f"its optimizer.{name} has shape {rest[name].shape}, not {shape}")
    for name in rest:
        if name not in wanted:
            raise ValueError(f"the model has no optimizer.{name}")
    checkpoint.check_tensors(path, "optimizer", rest, dict.fromkeys(rest, arithmetic(model.dtype)))
    state = {slot: [rest[f"{slot}.{name}"] for name in shapes] for slot in slots}
    optimizer.restore((state, counters))
    optimizer.attach(model)
