"""Options: arguments that are attributes, checked whenever they are set.

    class Dropout(Layer):
        p: float = number(least=0, below=1)

        def __init__(self, p: float = 0.5) -> None:
            self.p = p

What is kept is a plain Python number, so that a NumPy scalar can be written as JSON and is no other
setting than the number it is. Another kind raises TypeError, a number out of bounds ValueError;
both say class, option, what is wanted, and what came. `checked` does the same for an argument that
is no attribute.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isfinite
from numbers import Real
from typing import Any

REQUIRED: Any = object()
SHOWN = 60
"""Characters of a wrong value that an error shows."""


class Option:
    """An attribute that takes numbers within bounds, or True and False (see the functions below).

    A `default` is for dataclasses, which ask the class for it.
    """

    def __init__(self, default: Any = REQUIRED) -> None:
        self.default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, owner: Any, cls: type) -> Any:
        if owner is not None and self.name in owner.__dict__:
            return owner.__dict__[self.name]
        if owner is None and self.default is not REQUIRED:
            return self.default
        raise AttributeError(f"{cls.__name__} has no {self.name}")

    def __set__(self, owner: Any, value: Any) -> None:
        vars(owner)[self.name] = self.checked(f"{type(owner).__name__}: {self.name}", value)

    def checked(self, name: str, value: Any) -> Any:
        """Return the plain value; raises TypeError or ValueError, which call it by `name`."""
        raise NotImplementedError


class _Flag(Option):
    def checked(self, name: str, value: Any) -> bool:
        given = _plain(value)
        if not isinstance(given, bool):
            raise TypeError(f"{name} must be True or False, not {shown(value)}")
        return given


class _Number(Option):
    def __init__(
        self,
        above: float = -inf,
        least: float = -inf,
        below: float = inf,
        most: float = inf,
        whole: bool = False,
        none: bool = False,
        hint: tuple[Any, str] = ((), ""),
        default: Any = REQUIRED,
    ) -> None:
        super().__init__(default)
        self.above, self.least, self.below, self.most = above, least, below, most
        self.whole, self.none, self.hint = whole, none, hint

    def checked(self, name: str, value: Any) -> float | int | None:
        given = _plain(value)
        if given is None and self.none:
            return None
        if not isinstance(given, Real) or isinstance(given, bool):
            raise TypeError(f"{name} must be {self._kind()}{self._but(value)}")
        try:
            number = float(given)
        except OverflowError:
            number = inf
        if not self._holds(number):
            words = self._kind() if self.whole else self._words()
            if not isfinite(number):
                words = f"{words} and finite" if words else "finite"
            raise ValueError(f"{name} must be {words}{self._but(value)}")
        return int(given) if self.whole else number  # type: ignore[call-overload]

    def _holds(self, number: float) -> bool:
        bounded = self.above < number < self.below and self.least <= number <= self.most
        return bounded and isfinite(number) and (number.is_integer() or not self.whole)

    def _kind(self) -> str:
        words = self._words()
        if self.whole:
            return f"an integer of {words}" if words else "an integer"
        if words == "positive":
            return "a positive number"
        return f"a number that is {words}" if words else "a number"

    def _words(self) -> str:
        """Say the bounds: "at least 0 and below 1"."""
        low = f"at least {self.least}" if self.least > -inf else ""
        if self.above > -inf:
            low = f"above {self.above}"
        high = f"at most {self.most}" if self.most < inf else ""
        if self.below < inf:
            high = f"below {self.below}"
        words = " and ".join(filter(None, (low, high)))
        return "positive" if words == "above 0" else words

    def _but(self, value: Any) -> str:
        advised, advice = self.hint
        hint = f"; {advice}" if isinstance(value, advised) else ""
        return f"{' or None' if self.none else ''}, not {shown(value)}{hint}"


def number(
    *,
    above: float = -inf,
    least: float = -inf,
    below: float = inf,
    most: float = inf,
    none: bool = False,
    hint: tuple[Any, str] = ((), ""),
    default: Any = REQUIRED,
) -> Any:
    """Make the option of a finite number within these bounds, kept as a float.

    `none` allows None, too. `hint` is a class and the advice to whoever gives something of it.
    """
    return _Number(above, least, below, most, none=none, hint=hint, default=default)


def integer(*, least: float = -inf, none: bool = False, default: Any = REQUIRED) -> Any:
    """Make the option of an integer of at least that, kept as an int; 3.0 is one, 2.5 is not.

    `none` allows None, too.
    """
    return _Number(least=least, whole=True, none=none, default=default)


def flag() -> Any:
    """Make the option that is True or False, and no other value that Python takes for one."""
    return _Flag()


class _Pair(Option):
    """Two integers; one stands for both. Or one of some words."""

    def __init__(self, least: int, words: tuple[str, ...], none: bool) -> None:
        super().__init__()
        self.one, self.words, self.none = _Number(least=least, whole=True), words, none

    def checked(self, name: str, value: Any) -> Any:
        if value is None and self.none:
            return None
        if isinstance(value, str) and value in self.words:
            return value
        pair = value.tolist() if getattr(value, "ndim", None) == 1 else value
        if isinstance(pair, list | tuple):
            if len(pair) != 2:
                raise ValueError(f"{name} must be {self._kind()}, not {shown(value)}")
            return tuple(self.one.checked(name, each) for each in pair)
        given = _plain(value)
        if not isinstance(given, Real) or isinstance(given, bool):
            raise TypeError(f"{name} must be {self._kind()}, not {shown(value)}")
        number = self.one.checked(name, given)
        return number, number

    def _kind(self) -> str:
        kinds = [self.one._kind(), "a pair of them (height, width)", *map(repr, self.words)]
        return f"{', '.join(kinds[:-1])} or {kinds[-1]}"


def pair(*, least: int, words: tuple[str, ...] = (), none: bool = False) -> Any:
    """Make the option of two integers of at least that, for height and width, kept as a tuple.

    One integer stands for both. `words` are allowed too, and None with `none`.
    """
    return _Pair(least, words, none)


class _Made(Option):
    def __init__(self, make: Callable[[Any], Any]) -> None:
        super().__init__()
        self.make = make

    def checked(self, name: str, value: Any) -> Any:
        return self.make(value)


def made_by(make: Callable[[Any], Any]) -> Any:
    """Make the attribute that is whatever a function makes of what it is set to."""
    return _Made(make)


def shown(value: Any) -> str:
    """Return the repr for an error, in one line and not too long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _plain(value: Any) -> Any:
    """Return what a NumPy scalar or an array without dimensions holds."""
    return value.item() if getattr(value, "ndim", None) == 0 else value
