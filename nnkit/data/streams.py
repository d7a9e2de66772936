"""Read an array from a file that says how large it is, believing none of it."""

import math
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from nnkit.data.errors import DataError
from nnkit.files.memory import too_much

Order = Literal["C", "F"]
"""Whether the last or the first index changes fastest in a file."""

_CHUNK = 2**20


class Stream(Protocol):
    """What there is to read from: a file, or what unpacks one."""

    def read(self, size: int, /) -> bytes:
        """Read up to `size` bytes; none are left where it returns none."""


def read_array(
    stream: Stream, dtype: np.dtype[Any], shape: tuple[int, ...], name: str, order: Order = "C"
) -> NDArray[Any]:
    """Read an array with which the stream must end.

    Memory grows with what the stream delivers. It is read to its very end, where files that have
    a checksum are compared with it.

    Parameters
    ----------
    stream : file-like
        In binary mode, at the first element.
    dtype, shape
        What the header says. The array returned has native byte order.
    name : str
        What to call it in messages.
    order : {"C", "F"}
        Of the elements in the file.

    Raises
    ------
    DataError
        If there is less or more in the stream, or too much for this machine's memory.
    """
    described = f"its header says {dtype.newbyteorder('=')} of shape {shape}"
    problem = too_much(math.prod(max(size, 1) for size in shape) * max(dtype.itemsize, 1))
    if problem:
        raise DataError(f"{name}: {described}: that {problem}")
    expected = math.prod(shape) * dtype.itemsize
    data = _read_at_most(stream, expected + 1)
    if len(data) < expected:
        raise DataError(
            f"{name}: truncated: {described}, {expected:,} bytes, but only {len(data):,} follow"
        )
    if len(data) > expected:
        raise DataError(f"{name}: {described}, {expected:,} bytes, but more follow")
    array: NDArray[Any] = np.ndarray(shape, dtype, buffer=data, order=order)
    return array if dtype.isnative else array.byteswap(inplace=True).view(dtype.newbyteorder("="))


def _read_at_most(stream: Stream, limit: int) -> bytearray:
    data = bytearray()
    while chunk := stream.read(min(_CHUNK, limit - len(data))):
        data += chunk
    return data
