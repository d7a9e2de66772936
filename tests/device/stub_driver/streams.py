"""Streams, events, captures and graphs: what the runtime does with them, by the rules of CUDA."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
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
from tests.device.stub_driver.order import Capture, Operation, Stream, device, invalidate

NON_BLOCKING = 1
handles = itertools.count(0x1000, 0x10)
"""Handles of streams, events and graphs; none is used twice."""


@dataclass(eq=False)
class Event:
    """When it was recorded last, and in which capture."""

    recorded: Operation | None = None
    capture: Capture | None = None


@dataclass(eq=False)
class Graph:
    """Captured operations. Launches of one graph follow one another."""

    operations: list[Operation]
    last: Operation = field(default_factory=lambda: Operation("nothing", done=True))

    def run(self) -> None:
        for operation in self.operations:
            operation.carry_out()


events: dict[int, Event] = {}
graphs: dict[int, Graph] = {}
launched_graphs: list[int] = []
"""How many operations each launched graph had."""

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


# ------------------------------------------------------------------ captures and graphs


@offer("cudaStreamBeginCapture", Address, Integer)
def _begin_capture(handle: int | None, mode: int) -> None:
    stream = device.stream(handle)
    if stream.legacy or stream.capture is not None:
        raise Refused(functions.ILLEGAL_STATE if stream.capture else functions.CAPTURE_IMPLICIT)
    stream.capture = Capture()


@offer("cudaStreamEndCapture", Address, Addresses)
def _end_capture(handle: int | None, graph: Any) -> None:
    stream = device.stream(handle)
    capture, stream.capture, graph[0] = stream.capture, None, None
    if capture is None:
        raise Refused(functions.ILLEGAL_STATE)
    if capture.invalid:
        raise Refused(functions.CAPTURE_INVALIDATED)
    graph[0] = next(handles)
    graphs[graph[0]] = Graph(capture.operations)


@offer("cudaStreamIsCapturing", Address, Integers)
def _is_capturing(handle: int | None, status: Any) -> None:
    """Tell 0 for no, 1 for yes, 2 for a capture that will fail."""
    stream = device.stream(handle)
    if stream.legacy and any(other.blocking for other in device.capturing()):
        raise Refused(functions.CAPTURE_IMPLICIT)  # but the capture goes on
    status[0] = 0 if stream.capture is None else 1 + stream.capture.invalid


@offer("cudaGraphInstantiate", Addresses, Address)
def _instantiate(executable: Any, graph: int) -> None:
    """Make a graph that can be launched; parameters that differ among versions are ignored."""
    executable[0] = next(handles)
    graphs[executable[0]] = Graph(graphs[graph].operations)


@offer("cudaGraphUpload", Address, Address)
def _upload(handle: int, stream: int | None) -> None:
    device.give(stream, Operation("upload"))


@offer("cudaGraphLaunch", Address, Address)
def _launch(handle: int, stream: int | None) -> None:
    graph = graphs[handle]
    reads = frozenset(address for each in graph.operations for address in each.reads)
    writes = frozenset(address for each in graph.operations for address in each.writes)
    operation = Operation("graph", graph.run, (graph.last,), reads, writes)
    device.give(stream, operation)
    if device.stream(stream).capture is None:
        graph.last = operation
        launched_graphs.append(len(graph.operations))


@offer("cudaGraphDestroy", Address)
def _destroy_graph(handle: int) -> None:
    del graphs[handle]


@offer("cudaGraphExecDestroy", Address)
def _destroy_executable(handle: int) -> None:
    del graphs[handle]
