"""Captures, and the graphs that they become.

CuPy captures in relaxed mode, in which no call is refused for being unsafe.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.device.stub_driver import functions
from tests.device.stub_driver.functions import Address, Addresses, Integer, Integers, Refused
from tests.device.stub_driver.functions import runtime as offer
from tests.device.stub_driver.order import device
from tests.device.stub_driver.queues import Capture, Operation
from tests.device.stub_driver.streams import handles


@dataclass(eq=False)
class Graph:
    """Captured operations. Launches of one graph follow one another."""

    operations: list[Operation]
    last: Operation = field(default_factory=lambda: Operation("nothing", done=True))

    def run(self) -> None:
        for operation in self.operations:
            operation.carry_out()


graphs: dict[int, Graph] = {}
launched_graphs: list[int] = []
"""How many operations each launched graph had."""


@offer("cudaStreamBeginCapture", Address, Integer)
def _begin_capture(handle: int | None, mode: int) -> None:
    stream = device.stream(handle)
    if stream.legacy or stream.capture is not None:
        raise Refused(
            functions.ILLEGAL_STATE if stream.capture else functions.UNSUPPORTED_IN_CAPTURE
        )
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
