"""Where a pass through a model takes its arrays and random numbers from, and who may compute."""

from __future__ import annotations

import itertools
import os
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from nnkit.backends import Array, Backend
from nnkit.distributed.contract import Communicator


class Workspace:
    """Preallocated arrays of a training step, so that no step after the first allocates.

    A smaller last batch uses the first rows of the arrays of a full one.
    """

    def __init__(self) -> None:
        self._arrays: dict[tuple[object, str], Array] = {}
        self.prepared = False
        """Whether what steps in it need has been compiled."""

    def get(
        self, owner: object, name: str, shape: tuple[int, ...], dtype: Any, backend: Backend
    ) -> Array:
        """Return the array that `owner` keeps under `name`, made anew when it does not fit."""
        key = (owner, name)
        array = self._arrays.get(key)
        if (
            array is None
            or array.shape[1:] != shape[1:]
            or array.shape[0] < shape[0]
            or array.dtype != dtype
            or not backend.owns(array)
        ):
            array = self._arrays[key] = backend.empty(shape, dtype)
        return array if array.shape[0] == shape[0] else array[: shape[0]]


class Share(NamedTuple):
    """A rank's part of a batch: `rows` of its `whole` examples, behind the `first` ones."""

    communicator: Communicator
    first: int
    rows: int
    whole: int


@dataclass(frozen=True, eq=False)
class Pass:
    """What the layers of a model share while it computes."""

    workspace: Workspace | None
    """Where output arrays come from; None: they are made new."""
    debug: bool = False
    """Whether to look for the first layer whose output is not finite."""
    share: Share | None = None
    """Which part of the batch this is, where other ranks have the rest."""


class Guard:
    """A lock of all models that share layers: one thread at a time computes with them.

    A thread that holds it may take it again.
    """

    _numbers = itertools.count()
    _all: ClassVar[weakref.WeakSet[Guard]] = weakref.WeakSet()

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._all.add(self)
        self._number = next(self._numbers)
        self._joined: Guard | None = None

    def last(self) -> Guard:
        """The guard that this one has been joined to, or itself."""
        guard = self
        while guard._joined is not None:
            guard = guard._joined
        return guard

    @staticmethod
    @contextmanager
    def united(guards: Sequence[Guard]) -> Iterator[Guard]:
        """Hold several inside a ``with`` block; from then on the first stands for all of them.

        All threads take them in one order, so that none waits for one that waits for it.
        """
        while True:
            now = {guard.last() for guard in guards}
            with ExitStack() as stack:
                for guard in sorted(now, key=lambda guard: guard._number):
                    stack.enter_context(guard._lock)
                if any(guard._joined is not None for guard in now):  # while we were waiting
                    continue
                first = guards[0].last()
                for guard in now - {first}:
                    guard._joined = first
                yield first
                return

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait for other threads, and keep them waiting inside a ``with`` block."""
        guard = self.last()
        lock = guard._lock
        lock.acquire()
        while guard is not self.last():  # joined while we were waiting
            lock.release()
            guard = self.last()
            lock = guard._lock
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    @classmethod
    def forget_threads(cls) -> None:
        """Free all models after a fork, which has not taken along the threads that held them."""
        for guard in cls._all:
            guard._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=Guard.forget_threads)
