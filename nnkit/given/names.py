"""Names as strings, "mse" or "adam", in the place of what they name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from nnkit.given.options import shown

Named = TypeVar("Named")


def snake(name: str) -> str:
    """Return a class's name in small letters: "mean_squared_error"."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def find(name: str, known: Mapping[str, Named], what: str, listed: Iterable[str] = ()) -> Named:
    """Return what a name stands for, whatever its case, hyphens and underscores.

    Raises ValueError, which lists these names (all that are known, if there are none) and says
    which was meant, if that can be guessed.
    """
    if name in known:
        return known[name]
    from nnkit.given.foreign import plain, thing

    by_plain = {plain(each): each for each in known}
    if plain(name) in by_plain:
        return known[by_plain[plain(name)]]
    text = f"unknown {what} {name!r}: choose one of {', '.join(listed or known)}"
    meant = thing(name, by_plain)
    raise ValueError(f"{text} ({meant})" if meant else text)


def refuse(wanted: str, given: Any, base: type) -> TypeError:
    """Make the error for what is no object of class `base`; it begins with what is `wanted`."""
    if isinstance(given, type) and issubclass(given, base):
        name = given.__name__
        return TypeError(f"{wanted}, not the class {name}: write {name}()")
    return TypeError(f"{wanted}, not {shown(given)}")
