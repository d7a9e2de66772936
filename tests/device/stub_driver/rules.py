"""That the pretend CUDA keeps CUDA's rules, as CuPy gets to see them."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import cupy
import cupyx
import numpy as np

from tests.device.stub_driver import functions
from tests.device.stub_driver.order import device

ELEMENTS = 4


def broken() -> list[str]:
    """Try each rule, and return those that are broken, with the line that shows it."""
    found = []
    for name, rule in RULES.items():
        device.set_order("last")
        try:
            rule()
        except Exception as error:
            at = traceback.extract_tb(error.__traceback__)[-1]
            found.append(f"{name}: {error!r} in line {at.lineno}: {at.line}")
        device.set_order("immediate")
        device.races.found.clear()  # most rules are about what is not ordered
    return found


def _zeros() -> Any:
    x = cupy.zeros(ELEMENTS, "f")
    device.run()
    return x


def _written_then_read(writer: Any, reader: Any, between: Callable[[], None] | None = None) -> bool:
    """Write on a stream, then read on another: whether the second sees what the first wrote."""
    x, y = _zeros(), _zeros()
    with writer:
        x.fill(1)
    if between is not None:
        between()
    with reader:
        y[...] = x
        seen = bool(cupy.asnumpy(y).all())
    device.run()  # before CuPy uses the memory of x for other arrays
    return seen


def _status(call: Callable[[], object]) -> int:
    """Return the status that a call fails with."""
    try:
        call()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return int(error.status)
    return 0


def _null() -> Any:
    return cupy.cuda.Stream.null


def the_default_stream_waits_for_blocking_ones() -> None:
    blocking = cupy.cuda.Stream()
    assert _written_then_read(blocking, _null())
    assert _written_then_read(_null(), blocking)
    assert _written_then_read(cupy.cuda.Stream.ptds, _null())
    assert _written_then_read(_null(), cupy.cuda.Stream.ptds)


def other_streams_are_independent() -> None:
    blocking, other = cupy.cuda.Stream(), cupy.cuda.Stream(non_blocking=True)
    assert not _written_then_read(other, _null())
    assert not _written_then_read(_null(), other)
    assert not _written_then_read(blocking, other)
    assert not _written_then_read(blocking, cupy.cuda.Stream())
    assert _written_then_read(other, other)


def events_order_streams() -> None:
    one, other = (cupy.cuda.Stream(non_blocking=True) for _ in range(2))
    assert _written_then_read(one, other, lambda: other.wait_event(one.record()))
    event = cupy.cuda.Event()
    other.wait_event(event)  # never recorded: nothing to wait for
    with one:
        _zeros().fill(1)
        event.record()
    assert not event.done
    assert not one.done
    event.synchronize()
    assert event.done
    assert one.done


def pinned_memory_is_read_late() -> None:
    device.set_order("first")
    pinned, plain = cupyx.empty_pinned(ELEMENTS, "f"), np.zeros(ELEMENTS, "f")
    x, y = _zeros(), _zeros()
    pinned[...] = 0
    x.set(pinned, stream=_null())
    cupy.cuda.runtime.memcpyAsync(y.data.ptr, plain.ctypes.data, plain.nbytes, 1, 0)
    pinned[...], plain[...] = 1, 1
    assert cupy.asnumpy(x).all()
    assert not cupy.asnumpy(y).any()


def graphs_run_in_their_stream() -> None:
    x, capturing = _zeros(), cupy.cuda.Stream(non_blocking=True)
    with capturing:
        capturing.begin_capture()
        x += 1
        graph = capturing.end_capture()
    assert not cupy.asnumpy(x).any()
    for stream in (_null(), capturing, _null()):  # launches of one graph follow one another
        graph.launch(stream)
    device.run()
    assert (cupy.asnumpy(x) == 3).all()


def the_default_stream_is_refused_while_a_blocking_one_captures() -> None:
    x, capturing = _zeros(), cupy.cuda.Stream()
    capturing.begin_capture()
    assert _status(capturing.is_capturing) == 0
    assert _status(_null().is_capturing) == functions.CAPTURE_IMPLICIT
    assert _status(_null().synchronize) == functions.CAPTURE_IMPLICIT
    with capturing:
        assert _status(lambda: x.data.memset_async(0, 4)) == functions.CAPTURE_INVALIDATED
    assert _status(capturing.end_capture) == functions.CAPTURE_INVALIDATED
    capturing = cupy.cuda.Stream(non_blocking=True)
    capturing.begin_capture()
    assert cupy.asnumpy(x).shape == (ELEMENTS,)
    assert _status(capturing.end_capture) == 0


def waiting_ends_a_capture() -> None:
    outside, inside, other = cupy.cuda.Event(), cupy.cuda.Event(), cupy.cuda.Stream()
    outside.record()
    for call, status in (
        (lambda stream: stream.synchronize(), functions.UNSUPPORTED_IN_CAPTURE),
        (lambda stream: cupy.cuda.Device().synchronize(), functions.UNSUPPORTED_IN_CAPTURE),
        (lambda stream: stream.wait_event(outside), functions.CAPTURE_ISOLATION),
        (lambda stream: inside.record(stream) or inside.synchronize(), functions.CAPTURED_EVENT),
    ):
        capturing = cupy.cuda.Stream(non_blocking=True)
        capturing.begin_capture()
        assert _status(other.synchronize) == _status(outside.synchronize) == 0
        assert _status(lambda: call(capturing)) == status  # noqa: B023 - called at once
        assert _status(capturing.end_capture) == functions.CAPTURE_INVALIDATED


def a_destroyed_stream_does_its_work() -> None:
    x = _zeros()
    with cupy.cuda.Stream(non_blocking=True):
        x.fill(1)
    device.run()
    assert cupy.asnumpy(x).all()


def unknown_kernels_are_failures() -> None:
    square = cupy.ElementwiseKernel("float32 x", "float32 y", "y = x * x", "squared")
    try:
        square(_zeros())
    except cupy.cuda.driver.CUDADriverError as error:
        assert "squared" in str(error)
    assert "squared" in functions.failures.pop()


def what_is_not_offered_is_a_failure() -> None:
    assert _status(lambda: cupy.cuda.runtime.mallocManaged(8)) == functions.UNKNOWN
    assert "cudaMallocManaged" in functions.failures.pop()


def memory_given_back_is_spoilt() -> None:
    address = cupy.cuda.runtime.malloc(ELEMENTS * 4)
    memory = cupy.cuda.UnownedMemory(address, ELEMENTS * 4, None)
    x = cupy.ndarray(ELEMENTS, "f", cupy.cuda.MemoryPointer(memory, 0))
    x.fill(1)
    cupy.cuda.runtime.free(address)
    staged = cupyx.empty_pinned(ELEMENTS, "f")
    cupy.cuda.runtime.memcpyAsync(staged.ctypes.data, address, staged.nbytes, 4, 0)
    device.run()
    assert np.isnan(staged).all()


def kernels_use_memory_that_is_there() -> None:
    address = cupy.cuda.runtime.malloc(ELEMENTS * 4)
    memory = cupy.cuda.UnownedMemory(address, ELEMENTS * 4, None)
    x = cupy.ndarray(ELEMENTS, "f", cupy.cuda.MemoryPointer(memory, 0))
    cupy.cuda.runtime.free(address)
    x.fill(1)
    device.run()
    assert "given back" in functions.failures.pop()


def races_are_found() -> None:
    x, y, null = _zeros(), _zeros(), _null()
    one, other = cupy.cuda.Stream(), cupy.cuda.Stream()
    for writer, reader, ordered in ((one, other, True), (one, other, False), (one, null, True)):
        device.synchronize()
        device.races.found.clear()
        with writer:
            x.fill(1)
        if ordered and reader is other:
            other.wait_event(one.record())
        with reader:
            cupy.add(x, 1, out=y)
        assert bool(device.races.found) != ordered
    device.synchronize()
    device.races.found.clear()
    for stream in (one, other):  # both read, which is no race, as is what the host has waited for
        with stream:
            cupy.add(x, 1, out=cupy.empty_like(x))
    one.synchronize()
    other.synchronize()
    with other:
        x.fill(2)
    assert not device.races.found


RULES = {
    rule.__name__: rule
    for rule in (
        the_default_stream_waits_for_blocking_ones,
        other_streams_are_independent,
        events_order_streams,
        pinned_memory_is_read_late,
        graphs_run_in_their_stream,
        the_default_stream_is_refused_while_a_blocking_one_captures,
        waiting_ends_a_capture,
        a_destroyed_stream_does_its_work,
        unknown_kernels_are_failures,
        what_is_not_offered_is_a_failure,
        memory_given_back_is_spoilt,
        kernels_use_memory_that_is_there,
        races_are_found,
    )
}
