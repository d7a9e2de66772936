"""Numbers of 16 bits on the host: float16 by NumPy, bfloat16 as the upper half of a float32."""

from __future__ import annotations

from typing import Any

import numpy as np

Numbers = np.ndarray[Any, Any]


def pack(numbers: Numbers, wire: str | None, out: Numbers) -> None:
    """Write float32 numbers in 16 bits, rounded to the nearest, ties to even; None: as they are.

    `out` is float16, of which too large numbers are infinite as on a GPU, or uint16 for bfloat16.
    """
    if wire != "bfloat16":
        with np.errstate(over="ignore"):
            np.copyto(out, numbers, casting="same_kind")
        return
    bits = numbers.view(np.uint32)
    rounded = bits >> 16
    rounded &= 1
    rounded += 0x7FFF
    rounded += bits
    rounded >>= 16
    np.copyto(out, rounded, casting="same_kind")
    nan = np.isnan(numbers)
    if nan.any():
        out[nan] = 0x7FC0


def unpack(half: Numbers, wire: str | None, out: Numbers) -> None:
    """Write the numbers that were packed as those of `out`, float32; None: as they are."""
    if wire == "bfloat16":
        bits = out.view(np.uint32)
        bits[...] = half
        bits <<= 16
    else:
        out[...] = half
