"""CUDA's functions in Python: how they are declared, and how they fail.

A function returns None for success, or raises `Refused` with a status of CUDA, which its caller
gets. Anything else that goes wrong is a failure of the stub or of the work it was given. It is kept
in `failures`, because whoever gets the status may well go on as if nothing had happened.
"""

from __future__ import annotations

import ctypes
import threading
import traceback
from collections.abc import Callable
from typing import Any

Address, Size, Integer, Flags = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_uint
Addresses, Sizes = ctypes.POINTER(Address), ctypes.POINTER(Size)
Integers, Floats = ctypes.POINTER(Integer), ctypes.POINTER(ctypes.c_float)

INVALID_VALUE, INVALID_HANDLE, ILLEGAL_STATE, NOT_READY = 1, 400, 401, 600
UNSUPPORTED_IN_CAPTURE, CAPTURE_INVALIDATED, CAPTURE_ISOLATION = 900, 901, 905
CAPTURE_IMPLICIT, CAPTURED_EVENT, UNKNOWN = 906, 907, 999
NAMES = {
    INVALID_VALUE: "InvalidValue",
    INVALID_HANDLE: "InvalidResourceHandle",
    ILLEGAL_STATE: "IllegalState",
    NOT_READY: "NotReady",
    UNSUPPORTED_IN_CAPTURE: "StreamCaptureUnsupported",
    CAPTURE_INVALIDATED: "StreamCaptureInvalidated",
    CAPTURE_ISOLATION: "StreamCaptureIsolation",
    CAPTURE_IMPLICIT: "StreamCaptureImplicit",
    CAPTURED_EVENT: "CapturedEvent",
    UNKNOWN: "Unknown",
}

RUNTIME: dict[str, Any] = {}
"""Functions of the CUDA runtime by name, as ctypes callbacks."""
DRIVER: dict[str, Any] = {}
"""Those of the driver."""
lock = threading.RLock()
"""Held by every call: threads may call CUDA, and destructors may while it is being called."""
_refusals: list[Any] = []
failures: list[str] = []
"""All that should never happen, in words."""


class Refused(Exception):  # noqa: N818
    """CUDA does not do this; its status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"cudaError{NAMES[status]}")
        self.status = status


def runtime(name: str, *types: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Have a function take the place of one of the runtime, with parameters of these types."""
    return _offer(RUNTIME, name, types)


def driver(name: str, *types: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Have a function take the place of one of the driver."""
    return _offer(DRIVER, name, types)


def _offer(
    functions: dict[str, Any], name: str, types: tuple[Any, ...]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def offer(function: Callable[..., None]) -> Callable[..., None]:
        functions[name] = ctypes.CFUNCTYPE(Integer, *types)(_guarded(name, function))
        return function

    return offer


def _guarded(name: str, function: Callable[..., None]) -> Callable[..., int]:
    """Turn exceptions into a status: CuPy's C++ code would not see them."""

    def call(*arguments: Any) -> int:
        try:
            with lock:
                function(*arguments)
        except Refused as refused:
            return refused.status
        except Exception as error:
            fail(name, error)
            return UNKNOWN
        return 0

    return call


def refusal(name: str) -> Any:
    """Return a callback for a function that is not offered: that it is called is a failure."""

    def refuse() -> None:
        raise NotImplementedError("the pretend CUDA does not offer this function")

    _refusals.append(ctypes.CFUNCTYPE(Integer)(_guarded(name, refuse)))
    return _refusals[-1]


def fail(what: str, error: Exception) -> None:
    """Keep a failure, with the line that it comes from."""
    at = traceback.extract_tb(error.__traceback__)[-1]
    failures.append(f"{what}: {type(error).__name__}: {error} ({at.name}, line {at.lineno})")


_texts: dict[str, ctypes.Array[ctypes.c_char]] = {}


def _text(text: str) -> int:
    """Return the address of a C string that stays."""
    buffer = _texts.setdefault(text, ctypes.create_string_buffer(text.encode()))
    return ctypes.addressof(buffer)


def _name(status: int) -> int:
    return _text(f"cudaError{NAMES.get(status, status)}")


def _message(status: int) -> int:
    return _text(failures[-1] if status == UNKNOWN and failures else "said the pretend CUDA")


RUNTIME["cudaGetErrorName"] = ctypes.CFUNCTYPE(Address, Integer)(_name)
RUNTIME["cudaGetErrorString"] = ctypes.CFUNCTYPE(Address, Integer)(_message)


@driver("cuGetErrorName", Integer, Addresses)
def _driver_name(status: int, name: Any) -> None:
    name[0] = _name(status)


@driver("cuGetErrorString", Integer, Addresses)
def _driver_message(status: int, message: Any) -> None:
    message[0] = _message(status)
