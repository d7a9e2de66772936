"""Checkpoints: safetensors files with the configuration as JSON in their metadata.

Tensors are named "model.0.weight", "optimizer.m.0.weight" and so on, so that a file does not
depend on the layout of the flat buffers, and loads on any backend. A model's file and a trainer's
differ only in how much is there.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from nnkit import dtypes, layers, schedules
from nnkit.backends import Array, Backend
from nnkit.history import History
from nnkit.layers import Layer
from nnkit.losses import LOSS_CLASSES
from nnkit.model import Sequential
from nnkit.optimizers import OPTIMIZERS
from nnkit.training import Progress, Trainer

FORMAT = 1
Tensors = dict[str, np.ndarray[Any, Any]]


class CheckpointError(ValueError):
    """A file is no checkpoint, is damaged, or is of another network; the message says which."""


def save_model(model: Sequential, path: str | PathLike[str]) -> None:
    """Write a model's weights and configuration. Raises OSError where it cannot be written."""
    _write(path, _model_tensors(model), {"model": model.config()})


def save_trainer(trainer: Trainer, path: str | PathLike[str], extra: dict[str, Any]) -> None:
    """Write a model with optimizer, position and history. Raises OSError like `save_model`."""
    model, optimizer = trainer.model, trainer.optimizer
    optimizer.attach(model)
    tensors = _model_tensors(model)
    for slot, buffer in optimizer.state.items():
        for name, view in _named_views(model, buffer):
            tensors[f"optimizer.{slot}.{name}"] = model.backend.to_numpy(view)
    tensors["optimizer.counters"] = model.backend.to_numpy(optimizer.counters)
    tensors["model.counters"] = model.backend.to_numpy(model.counters)
    if trainer.log is not None:
        tensors["training.log"] = model.backend.to_numpy(trainer.log)
    config = {
        "model": model.config(),
        "loss": trainer.loss.config(),
        "optimizer": optimizer.config(),
        "progress": None if trainer.progress is None else asdict(trainer.progress),
        "schedule": None if trainer.schedule is None else schedules.config(trainer.schedule),
        "epochs_made": trainer.epochs_made,
        "history": trainer.history.to_dict(),
        "extra": extra,
    }
    _write(path, tensors, config)


def load(
    path: str | PathLike[str],
    backend: str | Backend | None = None,
    custom_layers: Sequence[type[Layer]] = (),
) -> Sequential:
    """Read a model from a file that `Sequential.save` or `Trainer.save` wrote, onto any backend.

    `custom_layers` are the classes of layers that are not nnkit's. Raises CheckpointError for a
    file that is none or is damaged, OSError for one that cannot be read.
    """
    tensors, config = _read(path)
    return _build_model(path, tensors, config, backend, custom_layers)


def load_trainer(
    path: str | PathLike[str],
    backend: str | Backend | None = None,
    custom_layers: Sequence[type[Layer]] = (),
) -> Trainer:
    """Read a trainer; raises CheckpointError also where the file holds a model only."""
    tensors, config = _read(path)
    if "optimizer" not in config:
        raise CheckpointError(f"{path} holds a model without a training state: use nnkit.load")
    model = _build_model(path, tensors, config, backend, custom_layers)
    try:
        loss = _build(config["loss"], LOSS_CLASSES)
        optimizer = _build(config["optimizer"], OPTIMIZERS)
        trainer = Trainer(model, loss, optimizer)
        trainer.history = History(**config["history"])
        trainer.extra = config["extra"]
        trainer.epochs_made = config["epochs_made"]
        if config["progress"] is not None:
            trainer.progress = Progress(**config["progress"])
        if config.get("schedule") is not None:
            trainer.schedule = schedules.build(config["schedule"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its training configuration is damaged: {error}") from error
    trainer.log = tensors.get("training.log")
    optimizer.attach(model)
    for slot, buffer in optimizer.state.items():
        views = _named_views(model, buffer)
        _fill(path, model.backend, views, tensors, f"optimizer.{slot}.")
    _copy(path, model.backend, optimizer.counters, tensors, "optimizer.counters")
    _copy(path, model.backend, model.counters, tensors, "model.counters")
    return trainer


def load_weights(model: Sequential, path: str | PathLike[str]) -> None:
    """Read the weights of a file into an existing model of the same shape.

    Raises CheckpointError, naming the first parameter that differs, for another network's file.
    """
    tensors, _ = _read(path)
    _fill(path, model.backend, _named_arrays(model), tensors, "model.")


# ---------------------------------------------------------------------- pieces


def _named_views(model: Sequential, buffer: Array) -> list[tuple[str, Array]]:
    names = [name for name, _ in model.named_parameters()]
    return list(zip(names, model.flat.views(buffer), strict=True))


def _named_arrays(model: Sequential) -> list[tuple[str, Array]]:
    """Parameters, and what else training changes in the layers."""
    return [*_named_views(model, model.flat.values), *model.named_buffers()]


def _model_tensors(model: Sequential) -> Tensors:
    return {f"model.{name}": model.backend.to_numpy(array) for name, array in _named_arrays(model)}


def _build_model(
    path: str | PathLike[str],
    tensors: Tensors,
    config: dict[str, Any],
    backend: str | Backend | None,
    custom_layers: Sequence[type[Layer]],
) -> Sequential:
    classes = {name: getattr(layers, name) for name in layers.__all__}
    classes |= {cls.__name__: cls for cls in custom_layers}
    try:
        settings = config["model"]
        model = Sequential(
            *(_build_layer(layer, classes) for layer in settings["layers"]),
            seed=settings["seed"],
            dtype=settings["dtype"],
            fuse=settings["fuse"],
            backend=backend,
        )
        for name, parameter in model.named_parameters():
            parameter.frozen = name in settings.get("frozen", ())
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its model cannot be built: {error}") from error
    _fill(path, model.backend, _named_arrays(model), tensors, "model.")
    return model


def _build_layer(config: dict[str, Any], classes: Mapping[str, type[Layer]]) -> Layer:
    if config["class"] == "Sequential":
        return Sequential(
            *(_build_layer(layer, classes) for layer in config["layers"]),
            seed=config["seed"],
            backend="numpy",
        )
    layer: Layer = _build(config, classes)
    return layer


def _build(config: dict[str, Any], classes: Mapping[str, Any]) -> Any:
    arguments = dict(config)
    name = arguments.pop("class")
    if name not in classes:
        raise ValueError(f"unknown class {name!r}; pass your own in custom_layers")
    return classes[name](**arguments)


def _fill(
    path: str | PathLike[str],
    backend: Backend,
    arrays: Sequence[tuple[str, Array]],
    tensors: Tensors,
    prefix: str,
) -> None:
    """Copy tensors into arrays by name, first checking that they are these and no others."""
    for name, array in arrays:
        _check(path, tensors, prefix + name, tuple(array.shape))
    known = {prefix + name for name, _ in arrays} | {"model.counters"}
    for name in tensors:
        if name.startswith(prefix) and name not in known:
            raise CheckpointError(f"{path} is of another network: the model has no {name}")
    for name, array in arrays:
        array[...] = backend.asarray(tensors[prefix + name], array.dtype)


def _copy(
    path: str | PathLike[str], backend: Backend, array: Array, tensors: Tensors, name: str
) -> None:
    _check(path, tensors, name, tuple(array.shape))
    array[...] = backend.asarray(tensors[name], array.dtype)


def _check(path: str | PathLike[str], tensors: Tensors, name: str, shape: tuple[int, ...]) -> None:
    if name not in tensors:
        raise CheckpointError(f"{path} is of another network: it has no {name}")
    if tensors[name].shape != shape:
        raise CheckpointError(
            f"{path} is of another network: its {name} has shape {tensors[name].shape}, "
            f"but the model's has {shape}"
        )


# ---------------------------------------------------------------------- files


def _write(path: str | PathLike[str], tensors: Tensors, config: dict[str, Any]) -> None:
    """Write to a temporary file beside the target, flush it to disk, then rename it."""
    from secrets import token_hex

    from safetensors.numpy import save

    contiguous = {name: np.ascontiguousarray(a) for name, a in tensors.items()}
    data = save(contiguous, {"format": "nnkit", "nnkit": json.dumps({"version": FORMAT, **config})})
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _read(path: str | PathLike[str]) -> tuple[Tensors, dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            names = list(file.keys())
            if any(file.get_slice(name).get_dtype() == "BF16" for name in names):
                dtypes.parse("bfloat16")  # so that NumPy knows the name
            tensors = {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise CheckpointError(f"{path} is no safetensors file or is damaged: {error}") from error
    if "nnkit" not in metadata:
        raise CheckpointError(f"{path} is a safetensors file, but not one of nnkit's")
    try:
        config = dict(json.loads(metadata["nnkit"]))
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its configuration is damaged: {error}") from error
    if config.get("version") != FORMAT:
        raise CheckpointError(
            f"{path} has checkpoint format {config.get('version')}; this nnkit reads {FORMAT}"
        )
    return tensors, config
