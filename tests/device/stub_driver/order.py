"""The device, which puts work off, and the orders in which CUDA may carry it out.

What a stream was given it carries out in order. The legacy default stream, 0, also waits for all
earlier work of the blocking streams, and these for that of it. Nothing else is ordered, except by
events.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from tests.device.stub_driver import functions
from tests.device.stub_driver.functions import Refused
from tests.device.stub_driver.queues import LEGACY, PER_THREAD, Operation, Stream
from tests.device.stub_driver.races import Access, Races

Choice = Callable[[list[Stream]], Stream]


def _first(ready: list[Stream]) -> Stream:
    """Carry out work in the order that it was given in, as a GPU with one queue would."""
    return min(ready, key=lambda stream: stream.queue[0].number)


def _last(ready: list[Stream]) -> Stream:
    """Carry out what was given last first, so that old work is as late as it can be."""
    return max(ready, key=lambda stream: stream.queue[0].number)


def _oldest_stream(ready: list[Stream]) -> Stream:
    """Carry out all that one stream can do, before another is looked at."""
    return min(ready, key=lambda stream: stream.handle)


def _newest_stream(ready: list[Stream]) -> Stream:
    return max(ready, key=lambda stream: stream.handle)


ORDERS: dict[str, Callable[[], Choice]] = {
    "first": lambda: _first,
    "last": lambda: _last,
    "oldest stream": lambda: _oldest_stream,
    "newest stream": lambda: _newest_stream,
    "random": lambda: random.Random(1).choice,
}


class Device:
    """All streams. `immediate`: each operation is carried out as soon as it is given."""

    def __init__(self) -> None:
        self.streams = {LEGACY: Stream(LEGACY, True), PER_THREAD: Stream(PER_THREAD, True)}
        self.immediate, self._choose = True, _first
        self.races = Races()
        self._numbers = itertools.count()

    def set_order(self, name: str) -> None:
        """Choose one of ORDERS, or "immediate", from now on."""
        self.synchronize()
        self.immediate = name == "immediate"
        self._choose = _first if self.immediate else ORDERS[name]()

    def stream(self, handle: int | None) -> Stream:
        """Find a stream; 1 is another name of the legacy default stream."""
        stream = self.streams.get(LEGACY if handle in (None, 1) else handle)
        if stream is None or stream.destroyed:
            raise Refused(functions.INVALID_HANDLE)
        return stream

    def capturing(self) -> list[Stream]:
        """Return the streams that capture."""
        return [stream for stream in self.streams.values() if stream.capture is not None]

    def refuse_implicit(self, stream: Stream) -> None:
        """Refuse to use the legacy default stream while a blocking stream captures."""
        blocking = [other for other in self.capturing() if other.blocking]
        if stream.legacy and blocking:
            invalidate(blocking)
            raise Refused(functions.CAPTURE_IMPLICIT)

    def give(self, handle: int | None, operation: Operation) -> None:
        """Give an operation to a stream."""
        stream = self.stream(handle)
        if stream.capture is not None:
            if stream.capture.invalid:
                raise Refused(functions.CAPTURE_INVALIDATED)
            stream.capture.operations.append(operation)
            return
        self.refuse_implicit(stream)
        operation.number = next(self._numbers)
        if not self.immediate:
            self._look_for_races(stream, operation)
        stream.queue.append(operation)
        stream.last = operation
        if self.immediate:
            self.run()

    def _look_for_races(self, stream: Stream, operation: Operation) -> None:
        earlier = [other.last for other in (stream, *self._ordered_with(stream))]
        after = [each.access for each in (*earlier, *operation.after) if each is not None]
        operation.access = Access(operation.what, operation.reads, operation.writes)
        self.races.give(operation.access, stream.handle, after)

    def synchronize(self) -> None:
        """Carry out all work; the host waits."""
        self.run()
        self.races.forget()

    def wait(self, operations: Iterable[Operation]) -> None:
        """Carry out some operations, and what they wait for, at least; the host waits."""
        awaited = list(operations)
        self.run(lambda: all(operation.done for operation in awaited))
        for operation in awaited:
            self.races.host_waited_for(operation.access)

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Carry out work until that is true, by default all of it."""
        while not until():
            waiting = [stream for stream in self.streams.values() if stream.queue]
            ready = [stream for stream in waiting if self._is_ready(stream)]
            if not waiting:
                return
            if not ready:
                raise RuntimeError("streams wait for each other, or for what never comes")
            self._choose(ready).queue.popleft().carry_out()

    def run_stream(self, stream: Stream) -> None:
        """Carry out all that a stream has been given up to now, and what that waits for."""
        waited_for = self._ordered_with(stream) if stream.legacy else [stream]
        self.wait(other.last for other in waited_for if other.last is not None)

    def is_idle(self, stream: Stream) -> bool:
        """Whether a stream has nothing to do."""
        others = self._ordered_with(stream) if stream.legacy else []
        return not any(other.queue for other in (stream, *others))

    def _is_ready(self, stream: Stream) -> bool:
        head = stream.queue[0]
        earlier = (
            other.queue[0].number < head.number
            for other in self._ordered_with(stream)
            if other.queue
        )
        return all(operation.done for operation in head.after) and not any(earlier)

    def _ordered_with(self, stream: Stream) -> Iterable[Stream]:
        """Return the streams whose earlier work comes first, besides its own."""
        if stream.legacy:
            return [other for other in self.streams.values() if other.blocking]
        return [self.streams[LEGACY]] if stream.blocking else []


def invalidate(streams: Iterable[Stream]) -> None:
    """Have captures fail when they end, because of something that was not allowed."""
    for stream in streams:
        if stream.capture is not None:
            stream.capture.invalid = True


device = Device()
"""The one GPU."""


@contextmanager
def order(name: str) -> Iterator[None]:
    """Carry out work in an order inside a with statement, and all that is left at its end."""
    device.set_order(name)
    try:
        yield
    finally:
        device.set_order("immediate")
