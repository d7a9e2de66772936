"""Streams and events: what the runtime does with them, by the rules of CUDA."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from tests.device.stub_driver import functions
from tests.device.stub_driver.functions import (
    Address,
    Addresses,
    Flags,
    Floats,
    Integer,
    Integers,
    Refused,
)
from tests.device.stub_driver.functions import runtime as offer
from tests.device.stub_driver.order import device, invalidate
from tests.device.stub_driver.queues import Capture, Operation, Stream

NON_BLOCKING = 1
handles = itertools.count(0x1000, 0x10)
"""Handles of all objects; none is used twice."""


@dataclass(eq=False)
class Event:
    """When it was recorded last, and in which capture."""

    recorded: Operation | None = None
    capture: Capture | None = None


events: dict[int, Event] = {}

# ------------------------------------------------------------------ streams


@offer("cudaStreamCreateWithFlags", Addresses, Flags)
def _create(stream: Any, flags: int) -> None:
    handle = stream[0] = next(handles)
    device.streams[handle] = Stream(handle, not flags & NON_BLOCKING)


@offer("cudaStreamCreate", Addresses)
def _create_blocking(stream: Any) -> None:
    _create(stream, 0)


@offer("cudaStreamCreateWithPriority", Addresses, Flags, Integer)
def _create_with_priority(stream: Any, flags: int, priority: int) -> None:
    _create(stream, flags)


@offer("cudaStreamDestroy", Address)
def _destroy(handle: int) -> None:
    stream = device.stream(handle)
    if stream.capture is not None:
        functions.failures.append("a stream was destroyed while it captured")
    stream.destroyed, stream.capture = True, None


@offer("cudaStreamGetFlags", Address, Integers)
def _flags(handle: int | None, flags: Any) -> None:
    flags[0] = 0 if device.stream(handle).blocking else NON_BLOCKING


@offer("cudaStreamSynchronize", Address)
def _synchronize_stream(handle: int | None) -> None:
    device.run_stream(_waited_for(handle))


@offer("cudaStreamQuery", Address)
def _query_stream(handle: int | None) -> None:
    stream = _waited_for(handle)
    if not device.is_idle(stream):
        raise Refused(functions.NOT_READY)
    device.run_stream(stream)


def _waited_for(handle: int | None) -> Stream:
    """Find a stream that the host asks about, which nobody may while it captures."""
    stream = device.stream(handle)
    if stream.capture is not None:
        invalidate([stream])
        raise Refused(functions.UNSUPPORTED_IN_CAPTURE)
    device.refuse_implicit(stream)
    return stream


@offer("cudaDeviceSynchronize")
def _synchronize_device() -> None:
    if capturing := device.capturing():
        invalidate(capturing)
        raise Refused(functions.UNSUPPORTED_IN_CAPTURE)
    device.synchronize()


# ------------------------------------------------------------------ events


@offer("cudaEventCreateWithFlags", Addresses, Flags)
def _create_event(event: Any, flags: int) -> None:
    event[0] = next(handles)
    events[event[0]] = Event()


@offer("cudaEventCreate", Addresses)
def _create_plain_event(event: Any) -> None:
    _create_event(event, 0)


@offer("cudaEventDestroy", Address)
def _destroy_event(handle: int) -> None:
    del events[handle]


@offer("cudaEventRecord", Address, Address)
def _record(handle: int, stream: int | None) -> None:
    operation = Operation("event")
    device.give(stream, operation)
    event = events[handle]
    event.recorded, event.capture = operation, device.stream(stream).capture


@offer("cudaStreamWaitEvent", Address, Address, Flags)
def _wait(handle: int | None, event: int, flags: int) -> None:
    stream, waited_for = device.stream(handle), events[event]
    if waited_for.capture is not stream.capture:
        if stream.capture is None:
            raise NotImplementedError("the pretend CUDA captures one stream, not several together")
        invalidate([stream])
        raise Refused(functions.CAPTURE_ISOLATION)
    if waited_for.recorded is not None and stream.capture is None:
        device.give(handle, Operation("wait", after=(waited_for.recorded,)))


@offer("cudaEventQuery", Address)
def _query_event(handle: int) -> None:
    recorded = _asked_about(handle)
    if recorded is not None and not recorded.done:
        raise Refused(functions.NOT_READY)
    _synchronize_event(handle)


@offer("cudaEventSynchronize", Address)
def _synchronize_event(handle: int) -> None:
    recorded = _asked_about(handle)
    if recorded is not None:
        device.wait([recorded])


def _asked_about(handle: int) -> Operation | None:
    event = events[handle]
    if event.capture is not None:
        event.capture.invalid = True
        raise Refused(functions.CAPTURED_EVENT)
    return event.recorded


@offer("cudaEventElapsedTime", Floats, Address, Address)
def _elapsed(milliseconds: Any, start: int, stop: int) -> None:
    for recorded in map(_asked_about, (start, stop)):
        if recorded is None or not recorded.done:
            raise Refused(functions.NOT_READY)
    milliseconds[0] = 1
