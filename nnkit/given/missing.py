"""Names that a module or an object has not: errors that say which was meant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def missing(module: str, name: str, public: Iterable[str]) -> Exception:
    """Return the error for a name that is not there, with what other libraries call so.

    A module's `__getattr__` calls it, and nobody in between. ``from nnkit import Dense`` asks
    whether there is one first, and would hide an AttributeError's text: it gets an ImportError.
    """
    text = f"module {module!r} has no attribute {name!r}"
    if name.startswith("_"):  # which Python itself asks for
        return AttributeError(text)
    from sys import _getframe

    from nnkit.given.foreign import plain, thing

    imports = _getframe(2).f_code.co_name == "_handle_fromlist"
    if imports and is_module(module, name):  # which is imported only when nothing is found here
        return AttributeError(text)
    meant = thing(name, {plain(each): f"{module}.{each}" for each in public})
    if meant and imports:
        return ImportError(f"cannot import name {name!r} from {module!r}: {meant}", name=name)
    return AttributeError(f"{text}: {meant}" if meant else text)


def is_module(package: str, name: str) -> bool:
    """Whether there is such a module in a package, which perhaps nobody has imported yet."""
    from importlib.util import find_spec

    if name.startswith("_"):
        return False
    try:
        return find_spec(f"{package}.{name}") is not None
    except ModuleNotFoundError:  # of a module that is no package
        return False


def attribute(owner: Any, name: str) -> Any:
    """Return an attribute, or raise the error for one that is not there, with what does that here.

    An object's `__getattr__` calls it.
    """
    try:
        return object.__getattribute__(owner, name)
    except AttributeError as error:
        if name.startswith("_") or hasattr(type(owner), name):  # Python's, or a property's own
            raise
        from nnkit.given.foreign import METHODS

        meant = METHODS.get(name)
        if meant is None:
            raise
        raise AttributeError(f"{error}: {meant}", name=name, obj=owner) from None
