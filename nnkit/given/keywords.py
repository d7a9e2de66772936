"""Arguments that there are not, or that are missing: errors that say which was meant."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from inspect import CO_VARARGS, CO_VARKEYWORDS
from typing import Any, TypeVar, cast

Init = TypeVar("Init", bound=Callable[..., None])
Function = TypeVar("Function", bound=Callable[..., Any])


def explained(init: Init) -> Init:
    """Wrap a constructor: a keyword it has not raises TypeError with the one that was meant.

    One that it needs and is not given raises TypeError with the call as it is to be written, and so
    do more than it takes.
    """
    code = getattr(init, "__code__", None)
    if code is None or code.co_flags & CO_VARKEYWORDS:
        return init
    known = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    needed = code.co_varnames[1 : code.co_argcount - len(init.__defaults__ or ())]
    names, most = frozenset(known), code.co_argcount - 1
    any_number = code.co_flags & CO_VARARGS

    @wraps(init)
    def checked(self: Any, *arguments: Any, **named: Any) -> None:
        if not named.keys() <= names:
            raise TypeError(_unknown(owner(self), known, named))
        if len(arguments) < len(needed) and not named.keys() >= {*needed[len(arguments) :]}:
            raise TypeError(_missing(owner(self), needed, len(arguments), named))
        if len(arguments) > most and not any_number:
            raise TypeError(_too_many(owner(self), known[:most], len(arguments)))
        init(self, *arguments, **named)

    def owner(made: Any) -> str:
        """Whose constructor it is: the class's that is made, or that of one it builds on."""
        is_its_own = type(made).__init__ is checked
        return type(made).__name__ if is_its_own else init.__qualname__.split(".")[-2]

    return cast(Init, checked)


def passing_on(*names: str) -> Callable[[Function], Function]:
    """Wrap a function that passes keywords of these names on: others are told as of `explained`."""

    def wrap(function: Function) -> Function:
        code = function.__code__
        known = *code.co_varnames[: code.co_argcount + code.co_kwonlyargcount], *names

        @wraps(function)
        def checked(*arguments: Any, **named: Any) -> Any:
            if not named.keys() <= {*known}:
                raise TypeError(_unknown(function.__name__, known, named))
            return function(*arguments, **named)

        return cast(Function, checked)

    return wrap


def _unknown(owner: str, known: tuple[str, ...], given: Iterable[str]) -> str:
    from nnkit.given.foreign import keyword

    name = next(name for name in given if name not in known)
    takes = ", ".join(known) or "none"
    text = f"{owner} got an unexpected keyword argument {name!r} (it takes {takes})"
    meant = keyword(name, known)
    return f"{text}: {meant}" if meant else text


def _too_many(owner: str, known: tuple[str, ...], count: int) -> str:
    takes = f"{', '.join(known)}, but was given {count} arguments" if known else "no arguments"
    return f"{owner} takes {takes}"


def _missing(owner: str, needed: tuple[str, ...], count: int, named: Iterable[str]) -> str:
    lacking = [name for name in needed[count:] if name not in named]
    text = f"{owner} lacks {' and '.join(lacking)}: write {owner}({', '.join(needed)})"
    if needed[0] in ("in_features", "in_channels") and len(lacking) < len(needed):
        text += f"; {needed[0]}, which Keras finds by itself, is the first"
    return text
