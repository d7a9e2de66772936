"""Whether all ranks were given the same: they would else train networks that differ, or wait."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np

from nnkit.layers import Sequential
from nnkit.losses import Loss
from nnkit.optimizers import Optimizer
from nnkit.schedules import Schedule
from nnkit.targets import on_host
from nnkit.training.data import Data
from nnkit.training.divergence import OnNan
from nnkit.training.progress import Progress
from nnkit.training.ranks import Ranks

SAMPLED = 256
"""Examples that are looked at."""
LOOKED_AT = 64 << 20
"""Bytes of targets up to which all are."""


class Part(NamedTuple):
    """Something that ranks must have alike."""

    difference: str
    """What to call it where a rank has it otherwise: "another model"."""
    value: str | bytes
    """What stands for it: words, which an error shows, or a digest."""
    remedy: str


def check_same(ranks: Ranks, make: Callable[[], Iterable[Part]]) -> None:
    """Raise ValueError on all ranks for the first part that one has otherwise than rank 0.

    One that is alone makes none.
    """
    if ranks.alone:
        return
    for ours in zip(*ranks.gather([*make()]), strict=False):
        difference, first, remedy = ours[0]
        others = [rank for rank, part in enumerate(ours) if part[:2] != (difference, first)]
        if others:
            value = ours[others[0]].value
            shown = f", {value} and not {first}" if isinstance(first, str) else ""
            ranks.all_raise(ValueError(f"{_who(others)} {difference} than rank 0{shown}: {remedy}"))


def _who(ranks: list[int]) -> str:
    if len(ranks) == 1:
        return f"rank {ranks[0]} has"
    *most, last = ranks
    return f"ranks {', '.join(map(str, most))} and {last} have"


def of_run(
    model: Sequential, loss: Loss, optimizer: Optimizer, options: Mapping[str, Any]
) -> list[Part]:
    """The program, the network, how it is trained, and where the run stands."""
    shapes = [(name, p.shape, p.frozen) for name, p in model.named_parameters()]
    slots, counters = optimizer.state()
    state = [counters, *(x for _, arrays in sorted(slots.items()) for x in arrays)]
    version = sys.modules["nnkit"].__version__  # of the package that imports this
    install, alike = "install the same on all machines", "give all ranks the same"
    load = "give the model a seed, or load one file on all ranks"
    return [
        Part("another version of nnkit", version, install),
        Part("another backend", model.backend.name, f"{install}, or set NNKIT_BACKEND"),
        Part("another model", _digest(repr((words(model), shapes, model.dtype)).encode()), alike),
        Part("another seed of the model", str(model.seed), load),
        Part("other values of parameters", _of_arrays(_values(model)), load),
        Part("another loss", words(loss), alike),
        Part("another optimizer", words(optimizer), alike),
        Part("another state of the optimizer", _of_arrays(state), "load one file on all ranks"),
        *(Part(f"{_other(name)} {name}", words(value), alike) for name, value in options.items()),
    ]


def _other(name: str) -> str:
    return "other" if name.endswith("s") else "another"


def options_of(
    progress: Progress, metrics: Iterable[str], schedule: Schedule | None, on_nan: OnNan
) -> dict[str, Any]:
    """What a run was asked for, by the names of `Trainer.fit`, and where it stands."""
    others = {"metrics": [*metrics], "schedule": schedule, "on_nan": on_nan}
    return asdict(progress) | others


def of_given(data: Data, validation: Data | None) -> list[Part]:
    """What is trained and validated on."""
    return of_data("training data", data) + of_data("validation data", validation)


def of_data(name: str, data: Data | None) -> list[Part]:
    """Examples, of which some are looked at, and their targets and weights."""
    remedy = (
        "every rank must be given all of the data, of which it takes its share; a memory map is "
        "read in parts"
    )
    if data is None:
        return [Part(f"other {name}", "none", remedy)]
    shape = f"x of shape {(len(data), *data.x.shape[1:])} and dtype {data.x.dtype}"
    some = data.rows[np.unique(np.linspace(0, len(data) - 1, SAMPLED).astype(np.int64))]
    targets = data.t if data.t.nbytes <= LOOKED_AT else data.t[some]
    weights = [] if data.weights is None else [data.weights]
    arrays = (on_host(data.backend, x) for x in (data.x[some], targets, data.rows, *weights))
    return [
        Part(f"other {name}", shape, remedy),
        Part(f"other {name}", _of_arrays(arrays), remedy),
    ]


def words(thing: Any) -> str:
    """Its repr, without the addresses that functions have in theirs."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(thing))


def _values(model: Sequential) -> list[np.ndarray[Any, Any]]:
    return [array for _, array in sorted(model.state().items())]


def _of_arrays(arrays: Iterable[np.ndarray[Any, Any]]) -> bytes:
    """What stands for the numbers of arrays, their shapes and dtypes."""
    return _digest(
        *(
            part
            for array in arrays
            for part in (
                repr((array.shape, str(array.dtype))).encode(),
                np.ascontiguousarray(array).reshape(-1).view(np.uint8),
            )
        )
    )


def _digest(*parts: Any) -> bytes:
    found = blake2b(digest_size=16)
    for part in parts:
        found.update(part)
    return found.digest()
