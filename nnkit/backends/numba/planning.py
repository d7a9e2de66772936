"""Which kernels a step needs, found out without compiling or computing anything."""

from __future__ import annotations

from inspect import getclosurevars
from typing import Any, NamedTuple

import numpy as np

from nnkit.backends.numba.calls import Call
from nnkit.kernels.numba.codegen.cache import is_missing
from nnkit.kernels.numba.codegen.signatures import kind_of, signature_of
from nnkit.kernels.numba.runtime import interpreter
from nnkit.kernels.numba.runtime.memory import ALONE
from nnkit.kernels.numba.runtime.tape import WORTH_A_TEAM


class Need(NamedTuple):
    """A kernel, and the types of the arguments it is needed for."""

    function: Any
    signature: tuple[Any, ...]
    name: str
    """The operation, or the loop of the interpreter, that it is for."""
    arguments: tuple[Any, ...]
    """Those of the operation, by which another process finds the same kernel."""

    @property
    def size(self) -> int:
        """Bytes that Python has compiled it and its parts to, which tell how long Numba takes."""
        parts, left = [self.function], [self.function]
        while left:
            names = getclosurevars(left.pop().py_func)
            for used in (*names.nonlocals.values(), *names.globals.values()):
                if hasattr(used, "py_func") and used not in parts:
                    parts.append(used)
                    left.append(used)
        return sum(len(part.py_func.__code__.co_code) for part in parts)

    def compile(self) -> None:
        """Compile it and put it on disk; where it is there, read it."""
        self.function.compile(self.signature)


_there: set[Any] = set()
"""What is known to be compiled, in memory or on disk."""


class Plan:
    """The kernels that are needed, and have not been found to be compiled."""

    def __init__(self) -> None:
        self._calls: dict[Any, tuple[str, tuple[Any, ...], Call]] = {}
        self._largest = 0

    def note(self, name: str, arguments: tuple[Any, ...], call: Call) -> None:
        """Note an operation that is to be carried out by a kernel."""
        self._largest = max(self._largest, call[1] // call[0].grain)
        key = call[0].function, *map(kind_of, call[2])
        if key not in _there:
            self._calls[key] = name, arguments, call

    def missing(self, threads: int) -> list[Need]:
        """What must be compiled, so that as many threads can carry all of it out."""
        found: dict[Any, Need] = {}
        for key, noted in self._calls.items():
            need = need_of(*noted)
            if is_missing(need.function, need.signature):
                found[need[:2]] = need  # arrays of one type may differ in what they own
            else:
                _there.add(key)
        team = threads > 1 and self._largest >= WORTH_A_TEAM
        loops = map(need_of_loop, interpreter.SIGNATURES if team else ("lead",))
        missing = [need for need in loops if is_missing(need.function, need.signature)]
        return [*found.values(), *missing]


def need_of(name: str, arguments: tuple[Any, ...], call: Call) -> Need:
    """Return what the call of a kernel for an operation needs."""
    kernel, _, given, sums = call
    if sums is not None:
        given = *given, np.empty(*sums)
    return Need(kernel.function, signature_of((*given, ALONE)), name, arguments)


def need_of_loop(name: str) -> Need:
    """Return what carrying out a tape needs of the interpreter."""
    return Need(getattr(interpreter, name), interpreter.SIGNATURES[name], name, ())
