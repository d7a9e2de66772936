"""Messages between the page and its thread: an object of JSON, and arrays behind it.

A message without arrays is a text. One with arrays is binary::

    uint32    n, the number of bytes of JSON, a multiple of 8 less 4
    n bytes   JSON in UTF-8, with spaces at its end; its "arrays" is a list of [name, dtype, shape]
    ...       each array's bytes, little-endian, in C order, each padded to a multiple of 8 bytes
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from math import isfinite, prod
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Message = dict[str, Any]
"""A JSON object with a "type", and arrays by their names."""

DTYPES = {"uint8": 1, "int8": 1, "int32": 4, "float32": 4}
"""What arrays may hold, and its bytes."""

MOST_DIMENSIONS, MOST = 4, 2**24
"""Of an array, and its numbers; sides of 0 count as 1."""


class MessageError(ValueError):
    """What came is no message."""


def pack(message: Mapping[str, Any]) -> str | bytes:
    """Write a message; numbers that are NaN or infinite become null."""
    arrays = {k: v for k, v in message.items() if isinstance(v, np.ndarray)}
    if wrong := [k for k, v in arrays.items() if v.dtype.name not in DTYPES]:
        raise TypeError(f"{', '.join(wrong)}: the page reads arrays of {', '.join(DTYPES)}")
    rest = {k: _plain(v) for k, v in message.items() if k not in arrays}
    if not arrays:
        return json.dumps(rest, allow_nan=False)
    rest["arrays"] = [[name, array.dtype.name, list(array.shape)] for name, array in arrays.items()]
    head = json.dumps(rest, allow_nan=False).encode()
    head += b" " * (-(len(head) + 4) % 8)
    parts = [struct.pack("<I", len(head)), head]
    for array in arrays.values():
        parts += [array.tobytes(), b"\0" * (-array.nbytes % 8)]
    return b"".join(parts)


def unpack(data: str | bytes) -> Message:
    """Read a message; raises MessageError for anything else, and for numbers such as 1e999."""
    if isinstance(data, str):
        return _object(data)
    if len(data) < 4:
        raise MessageError("a binary message begins with four bytes")
    (size,) = struct.unpack_from("<I", data)
    if size > len(data) - 4 or size % 8 != 4:
        raise MessageError(f"a message of {len(data)} bytes cannot have {size} of JSON")
    message = _object(data[4 : 4 + size])
    arrays, start = message.pop("arrays", None), 4 + size
    if not isinstance(arrays, list):
        raise MessageError("a binary message has a list of arrays")
    for described in arrays:
        name, dtype, shape = _described(described)
        count = prod(shape)
        end = start + count * DTYPES[dtype]
        if end > len(data):
            raise MessageError(f"array {name!r} ends behind the message")
        if name in message:
            raise MessageError(f"there are two {name!r}")
        message[name] = np.frombuffer(data, np.dtype(dtype), count, start).reshape(shape)
        start = end + -end % 8
    return message


def _object(text: str | bytes) -> Message:
    try:
        message = json.loads(text, parse_int=_number, parse_float=_number, parse_constant=_number)
    except (ValueError, RecursionError) as error:
        raise MessageError("a message is an object of JSON") from error
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise MessageError('a message is an object with a "type"')
    return message


def _number(text: str) -> int | float:
    """A whole number that floats have, too, or a float that is finite."""
    number = float(text)
    if not isfinite(number):
        raise MessageError(f"{text[:20]} is no number")
    return int(number) if text.lstrip("-").isdecimal() else number


def _described(described: Any) -> tuple[str, str, list[int]]:
    match described:
        case [str(name), str(dtype), list(shape)] if dtype in DTYPES:
            whole = all(type(n) is int and n >= 0 for n in shape)
            if whole and len(shape) <= MOST_DIMENSIONS and prod(n or 1 for n in shape) <= MOST:
                return name, dtype, shape
    raise MessageError("an array is described by its name, its dtype and its shape")


def _plain(value: Any) -> Any:
    """The same of what JSON has."""
    match value:
        case np.generic():
            return _plain(value.item())
        case float():
            return value if isfinite(value) else None
        case Mapping():
            return {str(k): _plain(v) for k, v in value.items()}
        case list() | tuple():
            return [_plain(v) for v in value]
    return value
