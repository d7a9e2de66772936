"""Philox4x32-10, with the same bits as ``nnkit/backends/numpy/philox.py``."""

from typing import Any

import numpy as np

from nnkit.kernels.numba.codegen.jit import inline

u32, u64 = np.uint32, np.uint64

ROUNDS = 10
M0, M1 = u64(0xD2511F53), u64(0xCD9E8D57)
W0, W1 = u32(0x9E3779B9), u32(0xBB67AE85)


@inline
def draw(first: int, stream: int, key0: int, key1: int, words: Any) -> None:
    """Draw the four words of each counter from `first` on, ten rounds of Philox each."""
    for i in range(words.size // 4):
        place = u64(first + i)
        c0, c1 = u32(place), u32(place >> u64(32))
        c2, c3 = u32(stream), u32(u64(stream) >> u64(32))
        k0, k1 = u32(key0), u32(key1)
        for _ in range(ROUNDS):
            product0, product1 = M0 * u64(c0), M1 * u64(c2)
            c0 = u32(u32(product1 >> u64(32)) ^ c1 ^ k0)
            c2 = u32(u32(product0 >> u64(32)) ^ c3 ^ k1)
            c1, c3 = u32(product1), u32(product0)
            k0, k1 = u32(k0 + W0), u32(k1 + W1)
        words[4 * i], words[4 * i + 1], words[4 * i + 2], words[4 * i + 3] = c0, c1, c2, c3
