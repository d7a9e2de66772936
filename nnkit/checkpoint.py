"""Checkpoints: safetensors files with the configuration as JSON in their metadata.

Tensors are named "model.0.weight", "optimizer.m.0.weight" and so on: the part of a run that they
belong to, then the name in what that part's `state` gives. So a file does not depend on where
parameters lie in memory, and loads on any backend. A model's file and a trainer's differ only in
how much is there.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from nnkit import dtypes
from nnkit.warning import warn_of_weights

FORMAT = 1
Tensors = dict[str, dict[str, np.ndarray[Any, Any]]]
"""Arrays by part and name."""


class CheckpointError(ValueError):
    """A file is no checkpoint, is damaged, or is of another network; the message says which."""


@contextlib.contextmanager
def another_network(path: str | PathLike[str]) -> Iterator[None]:
    """Raise a ValueError of the block as a CheckpointError: the file's tensors do not fit."""
    try:
        yield
    except ValueError as error:
        raise CheckpointError(f"{path} is of another network: {error}") from error


@contextlib.contextmanager
def damaged(path: str | PathLike[str], what: str) -> Iterator[None]:
    """Raise what goes wrong in the block as a CheckpointError that says `what` is damaged."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: {what}: {error}") from error


def write(path: str | PathLike[str], tensors: Tensors, config: dict[str, Any]) -> None:
    """Write a file; raises OSError where it cannot be written.

    To a temporary file beside the target, which is flushed to disk and then renamed. Warns of
    weights that are NaN or infinite.
    """
    from secrets import token_hex

    from safetensors.numpy import save

    contiguous = {
        f"{part}.{name}": np.ascontiguousarray(array)
        for part, arrays in tensors.items()
        for name, array in arrays.items()
    }
    data = save(contiguous, {"format": "nnkit", "nnkit": json.dumps({"version": FORMAT, **config})})
    warn_of_weights(path, tensors.get("model", {}))
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


def read(path: str | PathLike[str]) -> tuple[Tensors, dict[str, Any]]:
    """Read a file's tensors and configuration.

    Raises CheckpointError for a file that is none of ours or is damaged, OSError for one that
    cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            names = list(file.keys())
            if any(file.get_slice(name).get_dtype() == "BF16" for name in names):
                dtypes.parse("bfloat16")  # so that NumPy knows the name
            tensors: Tensors = {}
            for whole in names:
                part, _, name = whole.partition(".")
                tensors.setdefault(part, {})[name] = file.get_tensor(whole)
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
