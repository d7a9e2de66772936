"""Sums of arrays in pieces: each rank adds up one of them, in the order of ranks.

An array of n numbers costs every rank 2 n (size - 1) / size numbers out and as many in, which is
the least there can be (Patarasuk and Yuan 2009), and as the owner of a piece adds it up, all ranks
get the same bits. With 16-bit traffic the owner adds in float32 and rounds once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnkit.distributed.contract import share
from nnkit.dtypes import arithmetic

Numbers = np.ndarray[Any, Any]
Exchange = Callable[[Sequence[Numbers], Sequence[Numbers]], None]
"""Sends the i-th of the first arrays to rank i, and receives the i-th of the second from there."""


def add_up(
    flat: Numbers, exchange: Exchange, rank: int, size: int, wire: str | None = None
) -> None:
    """Replace a vector by the sum of all ranks'; `wire` may be "float16" or "bfloat16"."""
    shares = [share(flat.size, i, size) for i in range(size)]
    out = [packed(flat[s], wire) for s in shares]
    own = out[rank]
    received = [own if i == rank else np.empty_like(own) for i in range(size)]
    exchange(out, received)
    total = unpacked(received[0], wire).astype(arithmetic(flat.dtype))
    for piece in received[1:]:
        total += unpacked(piece, wire)
    result = packed(total.astype(flat.dtype), wire)
    back = [result if i == rank else np.empty_like(out[i]) for i in range(size)]
    exchange([result] * size, back)
    for s, piece in zip(shares, back, strict=True):
        flat[s] = unpacked(piece, wire)


def packed(numbers: Numbers, wire: str | None) -> Numbers:
    """Round float32 numbers to 16 bits, those of bfloat16 as uint16; or leave them as they are."""
    if wire == "float16":
        with np.errstate(over="ignore"):  # infinity, as on a GPU
            return numbers.astype(np.float16)
    if wire == "bfloat16":
        bits = numbers.view(np.uint32)
        rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16  # to nearest, ties to even
        return np.where(np.isnan(numbers), bits >> 16 | 0x40, rounded).astype(np.uint16)
    return numbers


def unpacked(numbers: Numbers, wire: str | None) -> Numbers:
    """Return the numbers that were packed."""
    if wire == "bfloat16":
        return (numbers.astype(np.uint32) << 16).view(np.float32)
    return numbers.astype(np.float32) if wire == "float16" else numbers
