"""What the pretend GPU says of itself."""

from __future__ import annotations

from typing import Any

from tests.device.stub_driver.functions import Address, Addresses, Integer, Integers
from tests.device.stub_driver.functions import driver as offer_driver
from tests.device.stub_driver.functions import runtime as offer

DRIVER_VERSION = 13000
"""A driver for CUDA 13 works with CuPy for CUDA 12 and 13."""
MULTIPROCESSORS = 132
ATTRIBUTES = {1: 1024, 10: 32, 16: MULTIPROCESSORS, 75: 9, 76: 0, 115: 0}
"""Threads of a block, of a warp; multiprocessors; compute capability 9.0; no memory pools."""
CONTEXT = 0x77


@offer("cudaGetLastError")
def _last_error() -> None: ...


@offer("cudaDriverGetVersion", Integers)
def _driver_version(version: Any) -> None:
    version[0] = DRIVER_VERSION


@offer("cudaGetDeviceCount", Integers)
def _count(count: Any) -> None:
    count[0] = 1


@offer("cudaGetDevice", Integers)
def _current(device: Any) -> None:
    device[0] = 0


@offer("cudaSetDevice", Integer)
def _set_current(device: int) -> None:
    if device:
        raise NotImplementedError("there is one device")


@offer("cudaDeviceGetAttribute", Integers, Integer, Integer)
def _attribute(value: Any, attribute: int, device: int) -> None:
    value[0] = ATTRIBUTES.get(attribute, 0)


@offer_driver("cuCtxGetCurrent", Addresses)
def _context(context: Any) -> None:
    context[0] = CONTEXT


@offer_driver("cuCtxSetCurrent", Address)
def _set_context(context: int | None) -> None: ...


@offer_driver("cuCtxGetDevice", Integers)
def _context_device(device: Any) -> None:
    device[0] = 0
