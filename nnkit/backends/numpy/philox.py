"""Philox4x32-10, the counter-based generator of Salmon et al. 2011 ("Parallel random numbers")."""

from __future__ import annotations

from typing import Any

import numpy as np

ROUNDS = 10
M0, M1 = 0xD2511F53, 0xCD9E8D57
W0, W1 = 0x9E3779B9, 0xBB67AE85
_LOW = np.uint64(0xFFFFFFFF)


def philox4x32(
    counter: np.ndarray[Any, Any], key: tuple[int, int]
) -> np.ndarray[Any, np.dtype[np.uint32]]:
    """Ten rounds of Philox on counters of shape (4, n), each word below 2**32.

    Returns uint32 of shape (4, n): four random words a counter.
    """
    c0, c1, c2, c3 = counter.astype(np.uint64)
    k0, k1 = key
    for _ in range(ROUNDS):
        low0, low1 = np.uint64(M0) * c0, np.uint64(M1) * c2
        c0, c1, c2, c3 = (
            (low1 >> np.uint64(32)) ^ c1 ^ np.uint64(k0),
            low1 & _LOW,
            (low0 >> np.uint64(32)) ^ c3 ^ np.uint64(k1),
            low0 & _LOW,
        )
        k0, k1 = (k0 + W0) & 0xFFFFFFFF, (k1 + W1) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3]).astype(np.uint32)


def uniform(n: int, key: int, stream: int, first: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Make the `n` float32 in [0, 1) from number `first` on of an endless row.

    Number i comes from word ``i % 4`` of counter ``(i // 4, stream)``. The upper 24 bits of each
    word make it, so that every one is exact in float32.
    """
    blocks = np.arange(first // 4, (first + n + 3) // 4, dtype=np.uint64)
    counter = np.empty((4, len(blocks)), np.uint64)
    counter[0], counter[1] = blocks & _LOW, blocks >> np.uint64(32)
    counter[2], counter[3] = stream & 0xFFFFFFFF, stream >> 32
    words = philox4x32(counter, (key & 0xFFFFFFFF, key >> 32)).T.reshape(-1)
    words = words[first % 4 : first % 4 + n]
    return (words >> np.uint32(8)).astype(np.float32) * np.float32(2**-24)
