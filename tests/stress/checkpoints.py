"""Checkpoints to damage, and ways to damage them that a checksum does not give away."""

from __future__ import annotations

import copy
import functools
import json
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

import nnkit
from nnkit import checkpoint

N, WIDTH, CLASSES = 22, 6, 3
DEEP = "@deep@"
"""Stands for thousands of lists in each other, which `json` can read but not write."""

VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 3, 7, 12_000, -(10**6), 2**31, 2**53, 2**63, 10**30, 10**400),
    *(0.0, 0.5, -0.5, 2.0, 1e-320, 1e308, -1e308, float("nan"), float("inf"), float("-inf")),
    *("", "a", "0", "relu", "float64", "int8", "\x1b[31m", "x" * 100_000, DEEP),
    *("Layer", "Activation", "Sequential", "Linear", "ReLU", "Adam", "Trainer", "SiLU", "Missing"),
    *([], {}, [0], [1, 2], {"class": "Linear"}, {"class": "Layer"}, {"class": []}, {"a": 1}),
    *([0] * 10_000, {"class": "Dropout", "p": 0.5}, {"nnkit.tensor": "0.a"}),
    *({"class": "Linear", "in_features": 12_000, "out_features": 12_000, "bias": True},),
    *({"class": "BatchNorm1d", "num_features": 10**10, "eps": 1e-5, "momentum": 0.1},),
]


EXTRA: dict[str, Any] = {
    "a": np.arange(3),
    "b": {"c": [1, 2.5, "d"]},
    # What the command line says:
    "data": "digits",
    "checksum": 2**32 - 1,
    "image_shape": (2, 3),
    "pixel_range": [0.0, 1.0],
    "class_names": ("x", "y", "z"),
    "preparation": "fit",
    "backend": "numba",
}


def data() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(N, WIDTH)).astype("f4"), rng.integers(0, CLASSES, N)


class StopAfter(nnkit.Callback):
    def __init__(self, steps: int) -> None:
        self.left = steps

    def on_step_end(self, trainer: Any) -> None:
        self.left -= 1
        trainer.stop = self.left <= 0


def _networks() -> Iterator[tuple[Any, Any, Any, dict[str, Any]]]:
    """Layers, loss, optimizer, and how to fit."""
    plain = [nnkit.Linear(WIDTH, 5), nnkit.ReLU(), nnkit.Dropout(0.3), nnkit.Linear(5, CLASSES)]
    cosine = nnkit.schedules.Warmup(3, nnkit.schedules.Cosine(0.1))
    yield plain, None, nnkit.Adam(), {"schedule": cosine}
    nested = [
        nnkit.Sequential(nnkit.Linear(WIDTH, 4), nnkit.LeakyReLU(0.1), seed=2),
        nnkit.BatchNorm1d(4),
        nnkit.Residual(nnkit.Linear(4, 4), nnkit.Tanh(), nnkit.Linear(4, 4)),
        nnkit.Concat(nnkit.Linear(4, 2), nnkit.Identity()),
        nnkit.Maxout(6, CLASSES, 2),
    ]
    yield nested, nnkit.SoftmaxCrossEntropy(0.1), nnkit.SGD(0.1, 0.9), {"accumulate": 2}
    slopes = [nnkit.Linear(WIDTH, 4, bias=False), nnkit.PReLU(4), nnkit.LayerNorm(4)]
    last = [nnkit.Linear(4, CLASSES)]
    yield [*slopes, *last], None, nnkit.RMSProp(clip_norm=1), {"shuffle": False, "seed": 3}


@functools.cache
def originals() -> list[bytes]:
    """Files of models and of trainers at several places of a run, in both formats."""
    x, t = data()
    files = []
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder, "model.safetensors")
        for number, (layers, loss, optimizer, options) in enumerate(_networks()):
            dtype = "float64" if number == 1 else "float32"
            model = nnkit.Sequential(*layers, seed=number, dtype=dtype, backend="numpy")
            trainer = nnkit.Trainer(model, loss, optimizer)
            for steps in (7, 10, 100):
                callbacks = [nnkit.EarlyStopping("loss", 9), StopAfter(steps)]
                validation = (x, t) if number == 0 else None
                trainer.fit(x, t, 4, 5, callbacks=callbacks, validation_data=validation, **options)
                trainer.save(path, **EXTRA)
                files.append(path.read_bytes())
            files.append(as_format_1(files[-2]))
            model.save(path)
            files.append(path.read_bytes())
    return files


def unpack(file: bytes, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the tensors and the configuration of a file."""
    path = folder / "unpacked"
    path.write_bytes(file)
    with safe_open(path, framework="numpy") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        return tensors, json.loads(opened.metadata()["nnkit"])


def pack(tensors: dict[str, Any], config: Any) -> bytes:
    """Write a file as nnkit does, with the right checksum, whatever is in it."""
    text = json.dumps(config).replace(json.dumps(DEEP), "[" * 5000 + "]" * 5000)
    metadata = {"format": "nnkit", "nnkit": text}
    metadata["checksum"] = checkpoint._checksum(text, tensors)
    return bytes(save(tensors, metadata))


def as_format_1(file: bytes) -> bytes:
    """Write a file as nnkit did before it had a checksum, and the history among the tensors."""
    with tempfile.TemporaryDirectory() as folder:
        tensors, config = unpack(file, Path(folder))
    history = {x: tensors.pop(x).tolist() for x in [*tensors] if x.startswith("history.")}
    config["history"] = {name.removeprefix("history."): x for name, x in history.items()}
    config |= {"version": 1, "extra": {"note": "old"}}
    kept = {name: x for name, x in tensors.items() if not name.startswith(("callbacks", "extra"))}
    return bytes(save(kept, {"format": "nnkit", "nnkit": json.dumps(config)}))


# ---------------------------------------------------------------------- the configuration


def places(config: Any) -> list[tuple[Any, Any]]:
    """All containers of a configuration with a key or index that they have."""
    items = config.items() if isinstance(config, dict) else enumerate(config)
    found = []
    for key, value in items:
        found.append((config, key))
        if isinstance(value, dict | list):
            found += places(value)
    return found


def change_config(tensors: dict[str, Any], config: Any, rng: np.random.Generator) -> None:
    """Replace, drop, add or copy a value somewhere."""
    found = places(config)
    holder, key = found[rng.integers(len(found))]
    value = copy.deepcopy(VALUES[rng.integers(len(VALUES))])
    match rng.integers(7):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[str(value)[:20]] = value
        case 1:
            holder.insert(key, value)
        case 2:
            other, there = found[rng.integers(len(found))]
            holder[key] = copy.deepcopy(other[there])
        case 3 | 4 if type(holder[key]) in (int, float):
            holder[key] += int(rng.choice([-10, -1, 1, 2, 100]))
        case _:
            holder[key] = value


# ---------------------------------------------------------------------- the tensors


def change_tensors(tensors: dict[str, Any], config: Any, rng: np.random.Generator) -> None:
    """Change the values, dtype, shape or name of a tensor, or take it out."""
    names = sorted(tensors)
    name = names[rng.integers(len(names))]
    array = tensors[name]
    match rng.integers(9):
        case 0:
            del tensors[name]
        case 1:
            tensors[name + str(rng.choice(["x", ".0", "\x1b[2J"]))] = array
        case 2:
            tensors[names[rng.integers(len(names))]] = array
        case 3:
            other = {8: "i8", 4: "i4", 2: "i2", 1: "i1"}[array.dtype.itemsize]
            tensors[name] = array.view("f8" if array.dtype.kind == "i" and other == "i8" else other)
        case 4:
            tensors[name] = array.astype(rng.choice(["f2", "f4", "f8", "i4", "i8", "u1", "?"]))
        case 5:
            shapes = [array.shape[::-1], (*array.shape, 1), (array.size,), (1, *array.shape)]
            tensors[name] = array.reshape(shapes[rng.integers(len(shapes))])
        case 6:
            tensors[name] = np.resize(array, max(0, array.size + int(rng.integers(-1, 3))))
        case 7:
            tensors[name] = np.zeros((0, *array.shape[1:]), array.dtype)
        case _ if array.size:
            values = (
                [-1, 0, -(2**62), 2**62] if array.dtype.kind in "iub" else [np.nan, np.inf, -1e4]
            )
            tensors[name] = array.copy()
            tensors[name].flat[rng.integers(array.size)] = values[rng.integers(len(values))]
