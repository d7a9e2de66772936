"""Device memory and pinned memory, copies and fills.

A copy from pinned memory reads it when the stream gets there; ordinary memory is read at once. A
copy to ordinary memory is waited for.
"""

from __future__ import annotations

import ctypes
import struct
from functools import partial
from typing import Any

from tests.device.stub_driver import functions
from tests.device.stub_driver.allocations import on_device, pinned
from tests.device.stub_driver.functions import Address, Addresses, Flags, Integer, Size, Sizes
from tests.device.stub_driver.functions import runtime as offer
from tests.device.stub_driver.order import device
from tests.device.stub_driver.queues import LEGACY, Operation

FREE, TOTAL = 70 << 30, 80 << 30
TO_DEVICE, TO_HOST, IN_DEVICE, BY_ADDRESS = 1, 2, 3, 4
"""Kinds of copies."""
HOST_MEMORY, DEVICE_MEMORY, ORDINARY_MEMORY = 1, 2, 0
"""What cudaPointerGetAttributes says of an address."""


allocated_in_capture: list[int] = []
"""Sizes of the blocks of device memory that were asked for while a stream captured."""


@offer("cudaMalloc", Addresses, Size)
def _malloc(pointer: Any, size: int) -> None:
    if device.capturing():  # CuPy captures in relaxed mode, where that is allowed
        allocated_in_capture.append(size)
    pointer[0] = on_device.allocate(size)


@offer("cudaFree", Address)
def _free(address: int | None) -> None:
    device.synchronize()
    on_device.free(address)


@offer("cudaHostAlloc", Addresses, Size, Flags)
def _host_alloc(pointer: Any, size: int, flags: int) -> None:
    pointer[0] = pinned.allocate(size)


@offer("cudaFreeHost", Address)
def _free_host(address: int | None) -> None:
    device.synchronize()
    pinned.free(address)


@offer("cudaMemGetInfo", Sizes, Sizes)
def _memory_info(free: Any, total: Any) -> None:
    free[0], total[0] = FREE, TOTAL


@offer("cudaPointerGetAttributes", Address, Address)
def _attributes(result: int, address: int | None) -> None:
    kind = HOST_MEMORY if pinned.hold(address) else ORDINARY_MEMORY
    if on_device.hold(address):
        kind = DEVICE_MEMORY
    packed = struct.pack("iiQQ", kind, 0, address or 0, address or 0)
    ctypes.memmove(result, packed, len(packed))


@offer("cudaMemcpyAsync", Address, Address, Size, Integer, Address)
def _copy_later(to: int, start: int, size: int, kind: int, handle: int | None) -> None:
    if not size:
        return
    capturing = device.stream(handle).capture is not None
    from_ordinary = not on_device.hold(start) and not pinned.hold(start)
    to_ordinary = not on_device.hold(to) and not pinned.hold(to)
    _check_kind(to, start, kind)
    if from_ordinary and not capturing:
        staged = ctypes.string_at(start, size)
        operation = Operation("copy", partial(_move, to, staged, size))
    else:
        operation = Operation("copy", partial(_move, to, start, size))
    device.give(handle, operation)
    if to_ordinary and not capturing:
        device.wait([operation])


@offer("cudaMemcpy", Address, Address, Size, Integer)
def _copy_now(to: int, start: int, size: int, kind: int) -> None:
    operation = Operation("copy", partial(_move, to, start, size))
    _check_kind(to, start, kind)
    device.give(LEGACY, operation)
    if not (on_device.hold(to) and on_device.hold(start)):
        device.wait([operation])


@offer("cudaMemsetAsync", Address, Integer, Size, Address)
def _fill_later(start: int, byte: int, size: int, handle: int | None) -> None:
    work = partial(_fill, start, byte, size)
    device.give(handle, Operation("fill", work, writes=frozenset([start])))


@offer("cudaMemset", Address, Integer, Size)
def _fill_on_legacy(start: int, byte: int, size: int) -> None:
    _fill_later(start, byte, size, LEGACY)


def _check_kind(to: int, start: int, kind: int) -> None:
    """Refuse a copy whose kind contradicts its addresses."""
    places = on_device.hold(start), on_device.hold(to)
    wanted = {TO_DEVICE: (False, True), TO_HOST: (True, False), IN_DEVICE: (True, True)}
    if kind != BY_ADDRESS and wanted.get(kind) != places:
        raise functions.Refused(functions.INVALID_VALUE)


def _move(to: int, start: int | bytes, size: int) -> None:
    ctypes.memmove(to, start, size)


def _fill(start: int, byte: int, size: int) -> None:
    ctypes.memset(start, byte, size)
