"""What `Trainer`'s methods are given, checked where it is given."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any, get_args

import numpy as np

from nnkit import schedules
from nnkit.schedules import Schedule
from nnkit.training.callbacks import Callback
from nnkit.training.divergence import OnNan

DEFAULT_BATCH_SIZE = 32
"""Examples in a batch where no size was given, and where there are as many."""


def count(name: str, value: Any) -> int:
    """Return an integer of at least 1 as it is; ValueError for anything else."""
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise ValueError(f"{name} must be an integer of at least 1, not {value!r}")
    return number


def length(x: Any, name: str = "x") -> int:
    """How many examples there are; TypeError for what has no length."""
    try:
        return len(x)
    except TypeError:
        given = x.item() if isinstance(x, np.ndarray) else x
        raise TypeError(
            f"{name} must be an array of shape (n, ...), not {type(given).__name__}"
        ) from None


def batch_size(value: Any, n: int) -> int:
    """Return a batch size for n examples; ValueError for one that is more than there are."""
    if value is None:
        return min(DEFAULT_BATCH_SIZE, max(1, n))
    size = count("batch_size", value)
    if size > n:
        raise ValueError(f"batch_size {size} is more than the {n} examples")
    return size


def triple(validation_data: Any) -> tuple[Any, Any, Any]:
    """Return (x, t, sample_weight), the last None for a pair; TypeError for anything else."""
    if not isinstance(validation_data, tuple | list) or len(validation_data) not in (2, 3):
        kind = type(validation_data).__name__
        if isinstance(validation_data, tuple | list):
            kind = f"a {kind} of {len(validation_data)}"
        raise TypeError(
            f"validation_data must be the pair (x, t), or (x, t, sample_weight), not {kind}"
        )
    x, t, *weights = validation_data
    return x, t, weights[0] if weights else None


def listed(callbacks: Any) -> Sequence[Callback]:
    """Return callbacks in the order in which they are called; TypeError for what is none."""
    if isinstance(callbacks, Callback) or not isinstance(callbacks, Iterable):
        raise TypeError(f"callbacks must be a list, such as [EarlyStopping()], not {callbacks!r}")
    given = [*callbacks]
    for callback in given:
        if not isinstance(callback, Callback):
            hint = ": make one, with ()" if isinstance(callback, type) else ""
            raise TypeError(f"callbacks must be of nnkit.Callback, but there is {callback!r}{hint}")
    return sorted(given, key=lambda callback: callback.comes_last)


def seed(value: Any) -> int:
    """Return an integer; TypeError for anything else."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"seed must be an integer, not {value!r}") from None


def schedule(value: Any) -> Schedule | None:
    """Return a function of step and total; TypeError for what is none."""
    return None if value is None else schedules.checked(value)


def on_nan(value: Any) -> OnNan:
    """Return what to do about NaN; ValueError for what is no such thing."""
    if value not in get_args(OnNan):
        choices = ", ".join(map(repr, get_args(OnNan)))
        raise ValueError(f"on_nan must be one of {choices}, not {value!r}")
    chosen: OnNan = value
    return chosen


def part(value: Any, n: int) -> int:
    """How many of n examples a `validation_split` sets aside; ValueError for one out of range."""
    if value is None:
        return 0
    real = isinstance(value, float | int | np.floating) and not isinstance(value, bool)
    if not real or not 0 < value < 1:
        raise ValueError(f"validation_split must be a number between 0 and 1, not {value!r}")
    rows = round(n * float(value))
    if not 0 < rows < n:
        raise ValueError(
            f"validation_split {value} of {n} examples leaves {n - rows} for training and {rows} "
            "for validation: there must be one of each"
        )
    return rows
