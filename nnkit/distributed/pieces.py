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
from nnkit.distributed.halves import pack, unpack
from nnkit.dtypes import arithmetic

Numbers = np.ndarray[Any, Any]
Exchange = Callable[[Sequence[Numbers], Sequence[Numbers]], None]
"""Sends the i-th of the first arrays to rank i, and receives the i-th of the second from there; the
rank's own stay as they are."""


class PieceSum:
    """Adds up vectors by an exchange between ranks; its memory is kept for the next."""

    def __init__(self, exchange: Exchange, rank: int, size: int) -> None:
        self._exchange, self._rank, self._size = exchange, rank, size
        self._kept: dict[tuple[str, Any], Numbers] = {}

    def add_up(self, flat: Numbers, wire: str | None = None) -> None:
        """Replace a vector by the sum of all ranks'.

        `wire` is "float16" or "bfloat16": what a vector of float32 is sent in.
        """
        shares = [share(flat.size, i, self._size) for i in range(self._size)]
        if wire is None:
            self._meet([flat[s] for s in shares])
            return
        half = self._room("half", flat.size, np.float16 if wire == "float16" else np.uint16)
        pack(flat, wire, half)
        self._meet([half[s] for s in shares], wire)
        unpack(half, wire, flat)

    def _meet(self, pieces: list[Numbers], wire: str | None = None) -> None:
        """Replace the pieces of a vector by sums, of which this rank computes its own."""
        own = pieces[self._rank]
        received = self._room("received", self._size * own.size, own.dtype)
        theirs = list(received.reshape(self._size, own.size))
        theirs[self._rank] = own
        self._exchange(pieces, theirs)
        number = np.float32 if wire else arithmetic(own.dtype)
        total, each = (self._room(name, own.size, number) for name in ("total", "each"))
        unpack(theirs[0], wire, total)
        for piece in theirs[1:]:
            unpack(piece, wire, each)
            total += each
        pack(total, wire, own)
        self._exchange([own] * self._size, pieces)

    def _room(self, name: str, size: int, dtype: Any) -> Numbers:
        """Memory for so many numbers, the same as before if that was enough."""
        key = name, np.dtype(dtype)
        if key not in self._kept or self._kept[key].size < size:
            self._kept[key] = np.empty(size, dtype)
        return self._kept[key][:size]
