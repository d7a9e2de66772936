"""Reals as integers in the same order, of which vector code finds the largest."""

from typing import Any

import numpy as np
from numba import types

from nnkit.kernels.numba.codegen.jit import by_type
from nnkit.kernels.numba.maths import f32, f64, i32, i64


@by_type
def order(x: Any) -> Any:
    """Map a real to an integer of its size, in the same order, NaN last.

    The largest of integers is found by SIMD code, that of reals is not because of NaN.
    """
    if x == types.float32:

        def single(x: Any) -> Any:
            bits = f32(x).view(i32)
            return i32(bits ^ ((bits >> 31) & 0x7FFFFFFF)) if not np.isnan(x) else i32(0x7FFFFFFF)

        return single

    def double(x: Any) -> Any:
        bits = f64(x).view(i64)
        return (
            bits ^ ((bits >> 63) & 0x7FFFFFFFFFFFFFFF)
            if not np.isnan(x)
            else i64(0x7FFFFFFFFFFFFFFF)
        )

    return double


@by_type
def from_order(key: Any) -> Any:
    """Invert `order`."""
    if key == types.int32:

        def single(key: Any) -> Any:
            return i32(key ^ ((key >> 31) & 0x7FFFFFFF)).view(f32)

        return single

    def double(key: Any) -> Any:
        return i64(key ^ ((key >> 63) & 0x7FFFFFFFFFFFFFFF)).view(f64)

    return double
