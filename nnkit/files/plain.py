"""What JSON can hold, made of what users have: the border between configurations and files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike, fspath
from typing import Any

import numpy as np

from nnkit.dtypes import is_number

TENSOR = "nnkit.tensor"
"""The only key of an object that stands in JSON for an array, by the name of its tensor."""

DEEPEST = 128
"""Lists and dictionaries in each other. A layer inside another takes two of them, and time that
grows with the third power."""

Keep = Callable[[str, np.ndarray[Any, Any]], Any]
"""Takes an array with its place, and returns what is to stand for it."""


def plain(value: Any, place: str, keep: Keep | None = None) -> Any:
    """Return a value as JSON gives it back.

    NumPy's scalars become Python's, tuples lists, paths and keys strings. Arrays become lists
    unless there is a `keep`. Raises TypeError for anything else, naming its place.
    """
    if type(value).__module__.partition(".")[0] == "cupy" and hasattr(value, "get"):
        value = value.get()
    if isinstance(value, np.ndarray):
        return _plain_array(value, place, keep)
    if isinstance(value, Mapping):
        return {_key(k, place): plain(v, f"{place}.{k}", keep) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each, f"{place}[{i}]", keep) for i, each in enumerate(value)]
    return _plain_scalar(value, place)


def _plain_scalar(value: Any, place: str) -> Any:
    """Return None, a number or a string as Python has it."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, PathLike):
        return str(fspath(value))
    if isinstance(value, np.bool_):
        return bool(value)
    wholes = int, np.integer  # members of enumerations are among them
    for kinds, kind in ((str, str), (wholes, int), ((float, np.floating), float)):
        if isinstance(value, kinds) and not isinstance(value, np.timedelta64):
            return kind(value)
    raise TypeError(
        f"{place} cannot be saved: it is a {type(value).__module__}.{type(value).__qualname__}; a "
        "file keeps numbers, strings, arrays, and lists and dictionaries of these"
    )


def _plain_array(array: np.ndarray[Any, Any], place: str, keep: Keep | None) -> Any:
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{place} cannot be saved: it is a masked array; fill it first")
    if array.dtype.kind == "U":
        return array.tolist()
    if not is_number(array.dtype) or array.dtype.itemsize > 8:
        raise TypeError(f"{place} cannot be saved: it is an array of {array.dtype}")
    if keep is None:
        return array.tolist()
    return keep(place, np.array(array, array.dtype.newbyteorder("="), order="C"))


def _key(key: Any, place: str) -> str:
    """Return a key as JSON has it."""
    if isinstance(key, str) and key != TENSOR:
        return str(key)
    if isinstance(key, int | float | np.integer) or key is None:
        return str(key)
    raise TypeError(f"{place} cannot be saved: {key!r} is no key for a file")


def check_depth(value: Any, left: int = DEEPEST) -> None:
    """Raise ValueError for lists and dictionaries in each other beyond `DEEPEST`."""
    if isinstance(value, dict | list):
        if left == 0:
            raise ValueError(f"it is nested more than {DEEPEST} deep")
        for each in value.values() if isinstance(value, dict) else value:
            check_depth(each, left - 1)


def take_out(extra: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    """Separate arrays from the rest, in whose places their names stand; errors as for `plain`."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}

    def keep(place: str, array: np.ndarray[Any, Any]) -> Any:
        name = f"{len(arrays)}.{place}"  # so that no two places share one
        arrays[name] = array
        return {TENSOR: name}

    return {name: plain(value, name, keep) for name, value in extra.items()}, arrays


def put_back(value: Any, arrays: Mapping[str, np.ndarray[Any, Any]]) -> Any:
    """Undo `take_out`. Raises KeyError or ValueError where it did not write this."""
    if isinstance(value, list):
        return [put_back(each, arrays) for each in value]
    if not isinstance(value, dict):
        return value
    if TENSOR in value:
        if len(value) > 1:
            raise ValueError(f"{TENSOR!r} stands alone")
        return arrays[value[TENSOR]]
    return {name: put_back(each, arrays) for name, each in value.items()}


def difference(asked: Any, made: Any, place: str) -> str | None:
    """Say the first thing that a configuration asks for and what was made of it has not.

    What it does not say may be anything.
    """
    if isinstance(asked, dict) and isinstance(made, dict):
        for name, value in asked.items():
            if name not in made:
                return f"{place} knows no {name!r}"
            if found := difference(value, made[name], f"{place}.{name}"):
                return found
        return None
    if isinstance(asked, list) and isinstance(made, list) and len(asked) == len(made):
        for i, (value, there) in enumerate(zip(asked, made, strict=True)):
            if found := difference(value, there, f"{place}[{i}]"):
                return found
        return None
    return None if asked == made else f"{place} cannot be {asked!r}"
