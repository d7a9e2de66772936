"""Keyword arguments that there are not: an error that says which was meant."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from inspect import CO_VARKEYWORDS
from typing import Any, TypeVar, cast

Init = TypeVar("Init", bound=Callable[..., None])


def explained(init: Init) -> Init:
    """Wrap a constructor: a keyword it has not raises TypeError with the one that was meant."""
    code = getattr(init, "__code__", None)
    if code is None or code.co_flags & CO_VARKEYWORDS:
        return init
    known = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    names = frozenset(known)

    @wraps(init)
    def checked(self: Any, *arguments: Any, **named: Any) -> None:
        if not named.keys() <= names:
            raise TypeError(_unknown(type(self).__name__, known, named))
        init(self, *arguments, **named)

    return cast(Init, checked)


def _unknown(owner: str, known: tuple[str, ...], given: Iterable[str]) -> str:
    from nnkit.given.foreign import keyword

    name = next(name for name in given if name not in known)
    text = f"{owner} got an unexpected keyword argument {name!r} (it takes {', '.join(known)})"
    meant = keyword(name, known)
    return f"{text}: {meant}" if meant else text
