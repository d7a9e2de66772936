"""Work that waits on the streams of a GPU, and the orders in which it may get done.

CUDA promises which work comes after which, and nothing else: a program whose results depend on the
rest has a race. So work can be put off until the host waits, and then be done in an extreme order:

    with queues.asynchronous("late"):
        step()
"""

from __future__ import annotations

import contextlib
import itertools
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from tests.device.memory import Memory

ORDERS = ("fifo", "late", "random")
"""What is done when the host waits, until it has what it waits for.

"fifo": all work, in the order of issue. "late": only what the host waits for, and where there is a
choice the last issued, so that each piece of work comes as late as it can. "random": by a seed.
"""

Work = Callable[[], object]


class Stream(Protocol):
    """What a queue has to know of a stream; two with the same `ptr` are equal."""

    ptr: int
    is_non_blocking: bool

    def __hash__(self) -> int: ...


class Operation:
    """Work that was issued: it can be done once nothing is left that it comes after."""

    def __init__(self, number: int, work: Work, after: set[Operation]) -> None:
        self.number, self.work, self.after = number, work, after
        self.followers: list[Operation] = []
        self.done = False
        for earlier in after:
            earlier.followers.append(self)


class Queue:
    """The work of all streams that has been issued and is not done."""

    def __init__(self, order: str, seed: int = 0) -> None:
        if order not in ORDERS:
            raise ValueError(f"order {order!r} is none of {ORDERS}")
        self.order, self._random = order, random.Random(seed)
        self._numbers = itertools.count()
        self._ready: dict[int, Operation] = {}
        self._last: dict[Stream, Operation] = {}
        self.freed: dict[tuple[object, int, int], list[Memory]] = {}
        """Device memory by pool, stream and size: the next array gets it, work may be using it."""

    def submit(
        self,
        work: Work,
        stream: Stream,
        after: Iterable[Operation | None] = (),
        implicit: bool = True,
    ) -> Operation:
        """Issue work. Without `implicit` the rules of the legacy default stream are put aside."""
        before = [self._last.get(stream), *after]
        if implicit:
            before += self._implicit(stream)
        pending = {earlier for earlier in before if earlier is not None and not earlier.done}
        operation = Operation(next(self._numbers), work, pending)
        self._last[stream] = operation
        if not pending:
            self._ready[operation.number] = operation
        return operation

    def _implicit(self, stream: Stream) -> list[Operation]:
        """Return what work comes after by the rules of the legacy default stream, number 0."""
        if stream.is_non_blocking:
            return []
        return [
            last
            for other, last in self._last.items()
            if not other.is_non_blocking and 0 in (other.ptr, stream.ptr)
        ]

    def pending(self, stream: Stream | None = None) -> list[Operation]:
        """Return what to wait for so that a stream has done everything; without one, all have."""
        if stream is None:
            last = list(self._last.values())
        else:
            last = [self._last[stream]] if stream in self._last else []
            if stream.ptr == 0:
                last += self._implicit(stream)
        return [operation for operation in last if not operation.done]

    def finish(self, wanted: Iterable[Operation]) -> None:
        """Do work until these operations are done."""
        wanted = list(wanted)
        needed = _ancestry(wanted) if self.order == "late" else None
        while not all(operation.done for operation in wanted):
            self._do(self._choose(needed))

    def _choose(self, needed: set[Operation] | None) -> Operation:
        """Return the next operation to do, of those that are ready."""
        if self.order == "random":
            return self._random.choice(list(self._ready.values()))
        if needed is None:
            return self._ready[min(self._ready)]
        return max(needed.intersection(self._ready.values()), key=lambda each: each.number)

    def _do(self, operation: Operation) -> None:
        del self._ready[operation.number]
        try:
            operation.work()
        finally:
            operation.done, operation.work = True, _nothing
            for follower in operation.followers:
                follower.after.discard(operation)
                if not follower.after:
                    self._ready[follower.number] = follower
            operation.followers = []

    def discard(self) -> None:
        """Forget all work; whoever waits for it is not to wait for ever."""
        for operation in _ancestry(self.pending()):
            operation.done, operation.work = True, _nothing
        self._ready.clear()


def _nothing() -> None:
    pass


def _ancestry(operations: Iterable[Operation]) -> set[Operation]:
    """Return operations and all that they come after."""
    found, left = set(), list(operations)
    while left:
        operation = left.pop()
        if operation not in found:
            found.add(operation)
            left += operation.after
    return found


_asynchronous: list[Queue] = []


def current() -> Queue | None:
    """Return where work is put off to; None: all work is done at once."""
    return _asynchronous[0] if _asynchronous else None


@contextlib.contextmanager
def asynchronous(order: str, seed: int = 0) -> Iterator[None]:
    """Do work when the host waits for it, inside a with statement, and the rest at its end."""
    if _asynchronous:
        raise RuntimeError("the streams are asynchronous already")
    queue = Queue(order, seed)
    _asynchronous.append(queue)
    try:
        yield
        queue.finish(queue.pending())
    finally:
        _asynchronous.remove(queue)
        queue.discard()


def wait(*operations: Operation | None) -> None:
    """Wait for work; None is work that was done at once."""
    for queue in _asynchronous:
        queue.finish(operation for operation in operations if operation is not None)


def synchronize(stream: Stream | None = None) -> None:
    """Wait for all work, or for that of one stream."""
    for queue in _asynchronous:
        queue.finish(queue.pending(stream))
