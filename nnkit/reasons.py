"""Why something does not work, in one line for people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from unicodedata import category


def reason(error: BaseException) -> str:
    """Return the first line of the error that started it all, or its name where it says nothing."""
    lines = str(_root(error)).strip().splitlines()
    return lines[0] if lines else type(_root(error)).__name__


def named_reason(error: BaseException) -> str:
    """Return the same line behind the exception's name, such as "OSError: no such file"."""
    name, line = type(_root(error)).__name__, reason(error)
    return name if line == name else f"{name}: {line}"


def printable(text: str, longest: int | None = None) -> str:
    r"""Write what a terminal would obey, or cannot show, as Python writes it: ``\x1b``, ``\n``.

    For text from files and names of files, of which no more than `longest` characters are shown.
    Spaces of any width stay as they are.
    """
    start = text if longest is None else text[: longest + 1]
    characters = (c if c.isprintable() or category(c) == "Zs" else repr(c)[1:-1] for c in start)
    shown = "".join(characters)
    return shown if longest is None or len(shown) <= longest else f"{shown[:longest]} ..."


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


@contextmanager
def importing(module: str, library: str, missing: str) -> Iterator[None]:
    """Have an optional library fail with ImportError alone, inside a ``with`` block.

    `missing` is the message, with its remedy, where its top module is not there. One that is
    broken, built for another NumPy for instance, may raise anything when it is imported.
    """
    try:
        import_module(module)
        yield
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        if isinstance(error, ModuleNotFoundError) and error.name == module:
            raise ImportError(missing) from error
        why = named_reason(error)
        raise ImportError(f"{library} is installed but cannot be imported: {why}") from error
