"""Checkpoints: safetensors files with the configuration as JSON in their metadata.

Tensors are named "model.0.weight", "optimizer.m.0.weight" and so on: the part of a run that they
belong to, then the name in what that part's `state` gives. So a file does not depend on where
parameters lie in memory, and loads on any backend. A model's file and a trainer's differ only in
how much is there.

A file may have been damaged or made by anybody. What is read here is as it was written; that it
fits is checked where it is used, by `damaged` blocks, before anything is computed with it.
"""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import Iterator, Mapping
from os import PathLike
from typing import Any

import numpy as np

from nnkit import dtypes
from nnkit.backends import BackendUnavailableError
from nnkit.files import atomic
from nnkit.files.paths import expand
from nnkit.files.plain import check_depth, plain, put_back, take_out
from nnkit.reasons import printable

FORMAT = 2
READABLE = (1, 2)
"""Format 1 had the history in the configuration, and no checksum."""

PARTS = ("model", "optimizer", "training", "history", "callbacks", "extra")
FINITE = ("model", "optimizer", "callbacks")
"""Parts in which NaN and infinity are of no use: nothing could go on from there."""

KEYS = {
    *("version", "model", "loss", "optimizer", "progress", "schedule", "augment"),
    *("epochs_made", "history", "extra"),
}
DTYPES = {
    *("BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64"),
    *("F16", "BF16", "F32", "F64"),
}
LONGEST = 90_000_000
"""Characters of configuration that a header has room for, beside the names of the tensors."""

LONGEST_MESSAGE = 5000
"""Characters of an error, which may show what a file says."""

Array = np.ndarray[Any, Any]
Tensors = Mapping[str, Mapping[str, Array]]
"""Arrays by part and name."""


class CheckpointError(ValueError):
    """A file is no checkpoint, is damaged, or is of another network; the message says which."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message, LONGEST_MESSAGE))


class NoTrainingStateError(CheckpointError):
    """A file holds a model only, and a trainer was asked for."""


@contextlib.contextmanager
def another_network(path: str | PathLike[str]) -> Iterator[None]:
    """Raise a ValueError of the block as a CheckpointError: the file's tensors do not fit."""
    try:
        yield
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError(f"{path} is of another network: {error}") from None


@contextlib.contextmanager
def damaged(path: str | PathLike[str], what: str) -> Iterator[None]:
    """Raise whatever goes wrong in the block as a CheckpointError that says `what` is damaged.

    But for what is not the file's fault: that it cannot be read, or that a library is missing.
    """
    try:
        yield
    except (CheckpointError, OSError, ImportError, BackendUnavailableError):
        raise
    except KeyError as error:
        raise CheckpointError(f"{path}: {what}: it has no {printable(str(error))}") from None
    except Exception as error:
        kind = "" if isinstance(error, TypeError | ValueError) else f"{type(error).__name__}: "
        raise CheckpointError(f"{path}: {what}: {kind}{printable(str(error))}") from None


def write(
    path: str | PathLike[str],
    tensors: Tensors,
    config: Mapping[str, Any],
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write a file, or leave the old one as it is. `extra` may have arrays anywhere in it.

    Raises TypeError for what a file cannot hold, ValueError for one that is too long
    and for values that are not finite, OSError where the file cannot be written.
    """
    from safetensors.numpy import save

    try:
        rest, taken = take_out(extra or {})
        said = {name: plain(value, name) for name, value in config.items()}
        whole = {"version": FORMAT, **said, "extra": rest}
        check_depth(whole)
    except RecursionError:
        raise ValueError(f"{path} is not written: its configuration contains itself") from None
    except ValueError as error:
        raise ValueError(f"{path} is not written: {error}") from None
    text = json.dumps(whole)
    arrays = {
        f"{part}.{name}": np.asarray(array, order="C")
        for part, arrays in {**tensors, "extra": taken}.items()
        for name, array in arrays.items()
    }
    if name := _first_not_finite(arrays):
        raise ValueError(
            f"{name} holds NaN or infinity: training has diverged, and {path} is not written"
        )
    if len(text) > LONGEST:
        raise ValueError(
            f"{path} is not written: its configuration takes {len(text):,} characters, more than "
            f"{LONGEST:,}; long lists can be saved as arrays"
        )
    metadata = {"format": "nnkit", "nnkit": text, "checksum": _checksum(text, arrays)}
    atomic.replace(path, save(arrays, metadata))


def read(path: str | PathLike[str]) -> tuple[dict[str, dict[str, Array]], dict[str, Any]]:
    """Read a file's tensors and configuration.

    Raises CheckpointError for a file that is none of ours or is damaged, OSError for one that
    cannot be read.
    """
    path = expand(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    with damaged(path, "it cannot be used"):
        arrays, metadata = read_tensors(path)
        if "nnkit" not in metadata:
            raise CheckpointError(
                f"{path} is a safetensors file, but not one of nnkit's; one of PyTorch's "
                "is read by model.load_weights(path, layout='torch')"
            )
        config = json.loads(metadata["nnkit"])
        if not isinstance(config, dict):
            raise ValueError("its configuration is no object")
        check_depth(config)
        version = config.get("version")
        if version not in READABLE or type(version) is not int:
            raise CheckpointError(
                f"{path} has checkpoint format {version}; this nnkit reads up to {FORMAT}"
            )
        if version > 1 and metadata.get("checksum") != _checksum(metadata["nnkit"], arrays):
            raise ValueError("it was changed or damaged after it was written (its checksum)")
        if unknown := config.keys() - KEYS:
            raise ValueError(f"nnkit knows no {min(unknown)!r} in a configuration")
        if name := _first_not_finite(arrays):
            raise ValueError(f"its {name} holds NaN or infinity")
        tensors: dict[str, dict[str, Array]] = {}
        for whole, array in arrays.items():
            part, _, name = whole.partition(".")
            if part not in PARTS:
                raise ValueError(f"nnkit knows no tensor {whole!r}")
            tensors.setdefault(part, {})[name] = array
        config["extra"] = put_back(config.get("extra", {}), tensors.get("extra", {}))
        if not isinstance(config["extra"], dict):
            raise ValueError("its extra is no object")
    return tensors, config


def read_tensors(path: str | PathLike[str]) -> tuple[dict[str, Array], dict[str, str]]:
    """Read the tensors and the metadata of any safetensors file; CheckpointError if it is none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            names = list(file.keys())
            for name in names:
                dtype = file.get_slice(name).get_dtype()
                if dtype not in DTYPES:
                    raise ValueError(f"its {name} is of {dtype}")
                if dtype == "BF16":
                    dtypes.parse("bfloat16")  # so that NumPy knows the name
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except SafetensorError as error:
        raise CheckpointError(f"{path} is no safetensors file or is damaged: {error}") from None


def _first_not_finite(arrays: Mapping[str, Array]) -> str | None:
    for name, array in arrays.items():
        if name.partition(".")[0] in FINITE and dtypes.is_real(array.dtype):
            # Whether all are, without an array of answers: NaN and infinity stay in a sum.
            with np.errstate(invalid="ignore", over="ignore"):
                total = dtypes.as_arithmetic(array).sum(dtype=np.float64)
            if not np.isfinite(total) and not np.isfinite(dtypes.as_arithmetic(array)).all():
                return name
    return None


def _checksum(text: str, arrays: Mapping[str, Array]) -> str:
    """CRC-32 of a file's configuration and of its tensors: names, dtypes, shapes, values."""
    crc = zlib.crc32(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        crc = zlib.crc32(f"{name} {array.dtype.name} {array.shape}".encode(), crc)
        crc = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, crc)
    return f"{crc:08x}"


def check_tensors(
    path: str | PathLike[str], part: str, arrays: Mapping[str, Array], dtype: Mapping[str, Any]
) -> None:
    """Raise CheckpointError for a tensor that is not of the dtype that it is to have."""
    for name, array in arrays.items():
        if name in dtype and array.dtype != dtype[name]:
            raise CheckpointError(
                f"{path}: its {part}.{name} is of {array.dtype}, not of {np.dtype(dtype[name])}"
            )


def check_counters(path: str | PathLike[str], part: str, counters: Array) -> None:
    """Raise CheckpointError for what is no state of the three counters of `Backend.advance`."""
    fit = counters.dtype == np.int64 and counters.shape == (3,)
    if not fit or not (counters.min() >= 0 and counters.max() < 2**53):
        raise CheckpointError(f"{path}: its {part}.counters are damaged")
