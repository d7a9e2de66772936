"""The look-alikes of CuPy's streams, events and captured graphs, by CUDA's rules.

All GPU work goes through `submit`. It is done at once, or put off (see `tests.device.queues`), or
recorded while its stream captures. A call that CUDA refuses because of a capture spoils that one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from tests.device import captures, queues
from tests.device.captures import Capture
from tests.device.fake_errors import CUDARuntimeError
from tests.device.queues import Operation, Work

_local = threading.local()


def current_stream() -> Stream:
    """Return the stream of the innermost with statement, or the default stream."""
    return _streams()[-1]


def _streams() -> list[Stream]:
    if not hasattr(_local, "streams"):
        _local.streams = [Stream.null]
    return _local.streams


def submit(
    work: Work, stream: Stream | None = None, after: Iterable[Operation | None] = ()
) -> Operation | None:
    """Issue work to a stream, by default the current one; return it if it is put off."""
    stream = current_stream() if stream is None else stream
    if captures.ongoing:
        if stream._capture is not None:
            stream._capture.record(work)
            return None
        captures.refuse(906, captures.implicit(stream.ptr))
    queue = queues.current()
    if queue is None:
        work()
        return None
    return queue.submit(work, stream, after)


def is_put_off() -> bool:
    """Whether the current stream's work, if it is legal, is not done at once."""
    return queues.current() is not None or current_stream()._capture is not None


def is_capturing() -> bool:
    """Whether the current stream records its work instead of doing it."""
    return current_stream().is_capturing()


def stream_is_capturing(stream: int) -> bool:
    """Whether the stream of this number is capturing."""
    return any(capture.stream == stream for capture in captures.ongoing)


def refuse_while_capturing(what: str, stream: Stream | None = None) -> None:
    """Raise what CuPy itself raises when a capturing stream is asked for a transfer."""
    if (current_stream() if stream is None else stream).is_capturing():
        raise RuntimeError(f"the current stream is capturing, so {what} are disallowed")


def synchronize() -> None:
    """Wait for the device: not allowed while any stream captures."""
    captures.refuse(900, captures.ongoing)
    queues.synchronize()


class Stream:
    """A stream, as `cupy.cuda.Stream`."""

    null: Stream
    ptds: Stream
    _next_ptr = 2

    def __init__(
        self,
        null: bool = False,
        non_blocking: bool = False,
        ptds: bool = False,
        priority: int | None = None,
    ) -> None:
        self.ptr = 0 if null else 1 if ptds else Stream._next_ptr
        if self.ptr > 1:
            Stream._next_ptr += 1
        self.is_non_blocking, self.priority, self.device_id = non_blocking, priority or 0, 0
        self._capture: Capture | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and self.ptr == other.ptr

    def __hash__(self) -> int:
        return self.ptr

    def __enter__(self) -> Stream:
        _streams().append(self)
        return self

    def __exit__(self, *error: object) -> None:
        _streams().pop()

    def use(self) -> Stream:
        """Make this the current stream."""
        _streams()[-1] = self
        return self

    @property
    def done(self) -> bool:
        """Whether all work has been done; does not wait for it."""
        self._check_not_capturing()
        queue = queues.current()
        return queue is None or not queue.pending(self)

    def synchronize(self) -> None:
        """Wait for the work of this stream."""
        self._check_not_capturing()
        queues.synchronize(self)

    def _check_not_capturing(self) -> None:
        captures.refuse(900, [self._capture])
        captures.refuse(906, captures.implicit(self.ptr))

    def record(self, event: Event | None = None) -> Event:
        """Record an event."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Have later work wait for the work before the event's last record up to now."""
        if not event._recorded:
            return
        if self._capture is not None and event._capture is not self._capture:
            captures.refuse(905 if event._capture is None else 902, [self._capture])
        if self._capture is None and event._capture is not None:
            raise NotImplementedError("the fake GPU captures one stream at a time")
        submit(_nothing, self, [event._operation])

    def begin_capture(self, mode: int | None = None) -> None:
        """Record work from now on instead of doing it."""
        if self.ptr in (0, 1):
            raise RuntimeError("cannot capture on the default (legacy) stream")
        if self._capture is not None:
            raise CUDARuntimeError(900)
        self._capture = Capture(self.ptr, not self.is_non_blocking)
        captures.ongoing.append(self._capture)

    def end_capture(self) -> Graph:
        """Return the recorded work; the stream captures no longer, even if there is an error."""
        if self._capture is None:
            raise CUDARuntimeError(900)
        capture, self._capture = self._capture, None
        captures.ongoing.remove(capture)
        if not capture.valid:
            raise CUDARuntimeError(901)
        return Graph._of(capture.work)

    def is_capturing(self) -> bool:
        """Whether work is recorded instead of done. (To ask the legacy stream spoils nothing.)"""
        if captures.implicit(self.ptr):
            raise CUDARuntimeError(906)
        return self._capture is not None


Stream.null = Stream(null=True)
Stream.ptds = Stream(ptds=True)


class Graph:
    """Recorded work, as `cupy.cuda.Graph`."""

    _work: list[Work]
    _last: Operation | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(
            "currently this class cannot be initiated by the user and must be created via "
            "stream capture"
        )

    @classmethod
    def _of(cls, work: list[Work]) -> Graph:
        graph = cls.__new__(cls)
        graph._work, graph._last = work, None
        return graph

    def launch(self, stream: Stream | None = None) -> None:
        """Do the recorded work, after the previous launch on whatever stream."""
        self._last = submit(self._run, stream, [self._last])

    def _run(self) -> None:
        for work in self._work:
            work()

    def upload(self, stream: Stream | None = None) -> None:
        """Prepare for the first launch."""


class Event:
    """A point in a stream, as `cupy.cuda.Event`. No time passes on the fake GPU."""

    def __init__(
        self, block: bool = False, disable_timing: bool = False, interprocess: bool = False
    ) -> None:
        self._timed, self._recorded = not disable_timing, False
        self._capture: Capture | None = None
        self._operation: Operation | None = None

    @property
    def done(self) -> bool:
        """Whether the work before the event has been done; does not wait for it."""
        captures.refuse(907, [self._capture])
        return self._operation is None or self._operation.done

    def record(self, stream: Stream | None = None) -> None:
        """Record the event on a stream."""
        stream = current_stream() if stream is None else stream
        self._operation = submit(_nothing, stream)
        self._recorded, self._capture = True, stream._capture

    def synchronize(self) -> None:
        """Wait for the event."""
        captures.refuse(907, [self._capture])
        queues.wait(self._operation)


def _nothing() -> None:
    pass


def get_elapsed_time(start_event: Event, end_event: Event) -> float:
    """Return milliseconds between two events."""
    if not (start_event._timed and end_event._timed):
        raise ValueError("an event without timing")
    if not (start_event.done and end_event.done):
        raise CUDARuntimeError(600)
    return 0.0
