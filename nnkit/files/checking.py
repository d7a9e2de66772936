"""Whether values that come from a file are what annotations say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Made = TypeVar("Made")


def fits(value: Any, kind: Any) -> bool:
    """Whether a value of JSON is of a type, as annotations write it.

    True and False are no numbers; a whole number is a float too. Lists stand for tuples.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is None:
        kinds = {float: (int, float), None: (NoneType,)}.get(kind, (kind,))
        return kind is Any or type(value) in kinds
    if origin in (Union, UnionType):
        return any(fits(value, each) for each in arguments)
    if origin is Literal:
        return any(value == each and type(value) is type(each) for each in arguments)
    if origin is Callable:
        return callable(value)
    if origin is list or arguments[1:] == (...,):
        arguments = (arguments[0],) * len(value) if type(value) in (list, tuple) else ()
    same = type(value) in (list, tuple) and len(value) == len(arguments)
    return same and all(map(fits, value, arguments))


def check(values: Mapping[str, Any], kinds: type, what: str) -> None:
    """Raise ValueError for a value that is not what the annotations of `kinds` say of its name."""
    hints = get_type_hints(kinds)
    for name, value in values.items():
        if name in hints and not fits(value, hints[name]):
            raise ValueError(f"{what}: {name} cannot be {value!r}")


def make(cls: type[Made], values: Any) -> Made:
    """Make a dataclass of values from a file.

    Raises ValueError for one that is missing, unknown or of another type, and what the class
    raises.
    """
    what = cls.__name__
    if not isinstance(values, dict):
        raise ValueError(f"{what} cannot be {values!r}")
    known = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            raise ValueError(f"{what} knows no {name!r}")
    for name, field in known.items():
        if name not in values and field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{what} has no {name}")
    check(values, cls, what)
    return cls(**values)
