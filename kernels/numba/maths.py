"""Elementary functions without branches or calls, so that the loops around them become SIMD code.

NumPy's and the C library's `exp` are calls, which no vector loop of Numba's may hold. These are
range reduction and a polynomial (after Cephes, Moshier 1989; the coefficients are minimax fits by
Remez's algorithm), right to 2 units in the last place. Numba takes the float32 or the float64
version by the argument's type; called from compiled functions only.

NaN passes through: comparisons are written so that NaN fails them and is kept.
"""

from typing import Any

import numpy as np
from numba import types

from nnkit.kernels.numba.codegen.jit import by_type

f32, f64, i32, i64 = np.float32, np.float64, np.int32, np.int64

LOG2_E = 1.4426950408889634
ROUND_32, ROUND_64 = 12582912.0, 6755399441055744.0
"""1.5 * 2**23 and 1.5 * 2**52: adding one rounds to an integer, left in the sum's lowest bits."""
LN2_HIGH_32, LN2_LOW_32 = 0.693359375, -2.12194440e-4
LN2_HIGH_64, LN2_LOW_64 = 6.93145751953125e-1, 1.42860682030941723212e-6
"""log(2) in two parts; the first has few bits, so that small multiples of it are exact."""


@by_type
def constant(x: Any, value: Any) -> Any:
    """Give `value` the type of `x`; with a plain number, float32 arithmetic becomes float64."""
    kind = f32 if x == types.float32 else f64

    def converted(x: Any, value: Any) -> Any:
        return kind(value)

    return converted


@by_type
def expm1_small(r: Any) -> Any:
    """``exp(r) - 1`` for ``|r| <= log(2) / 2``."""
    if r == types.float32:

        def single(r: Any) -> Any:
            p = f32(0.0013814599) * r + f32(0.008368717)
            p = p * r + f32(0.04166839)
            p = p * r + f32(0.16666521)
            p = p * r + f32(0.49999994)
            return p * (r * r) + r

        return single

    def double(r: Any) -> Any:
        p = 2.565003101850732e-08 * r + 2.76241702189936e-07
        p = p * r + 2.755564200757087e-06
        p = p * r + 2.4801508694481888e-05
        p = p * r + 0.000198412715410568
        p = p * r + 0.0013888888930570276
        p = p * r + 0.008333333332633572
        p = p * r + 0.04166666666656836
        p = p * r + 0.16666666666667607
        p = p * r + 0.5000000000000009
        return p * (r * r) + r

    return double


@by_type
def _reduce(x: Any) -> Any:
    """Give ``(exp(r) - 1, t)`` where ``x = n log(2) + r``, n in the last bits of t."""
    if x == types.float32:

        def single(x: Any) -> Any:
            t = x * f32(LOG2_E) + f32(ROUND_32)
            n = t - f32(ROUND_32)
            r = (x - n * f32(LN2_HIGH_32)) - n * f32(LN2_LOW_32)
            return expm1_small(r), t

        return single

    def double(x: Any) -> Any:
        t = x * LOG2_E + ROUND_64
        n = t - ROUND_64
        r = (x - n * LN2_HIGH_64) - n * LN2_LOW_64
        return expm1_small(r), t

    return double


@by_type
def exp_nonpositive(x: Any) -> Any:
    """``exp(x)`` for x <= 0 or NaN, denormal results included."""
    # 2**n would be denormal for the smallest x: scale by 2**(n + 64), then once by 2**-64.
    if x == types.float32:

        def single(x: Any) -> Any:
            p, t = _reduce(f32(-104) if x < f32(-104) else x)
            scale = i32((f32(t).view(i32) << 23) + ((127 + 64) << 23)).view(f32)
            return (p + f32(1)) * scale * f32(2.0**-64)

        return single

    def double(x: Any) -> Any:
        p, t = _reduce(-746.0 if x < -746.0 else x)
        scale = i64((f64(t).view(i64) << 52) + ((1023 + 128) << 52)).view(f64)
        return (p + 1.0) * scale * 2.0**-128

    return double


@by_type
def exp(x: Any) -> Any:
    """``exp(x)`` for any x: infinity, denormal results and NaN included."""
    # 2**n has no exponent field for the largest and the smallest n: scale by it in two parts.
    if x == types.float32:

        def single(x: Any) -> Any:
            low = f32(-104) if x < f32(-104) else x
            p, t = _reduce(f32(89) if low > f32(89) else low)
            n = i32(f32(t).view(i32) - f32(ROUND_32).view(i32))
            half = i32(n >> 1)
            first = i32((half + 127) << 23).view(f32)
            second = i32((n - half + 127) << 23).view(f32)
            return (p + f32(1)) * first * second

        return single

    def double(x: Any) -> Any:
        low = -746.0 if x < -746.0 else x
        p, t = _reduce(710.0 if low > 710.0 else low)
        n = f64(t).view(i64) - f64(ROUND_64).view(i64)
        half = n >> 1
        first = i64((half + 1023) << 52).view(f64)
        second = i64((n - half + 1023) << 52).view(f64)
        return (p + 1.0) * first * second

    return double


@by_type
def expm1_nonpositive(x: Any) -> Any:
    """``exp(x) - 1`` for x <= 0 or NaN, exact in proportion near 0 too."""
    if x == types.float32:

        def single(x: Any) -> Any:
            p, t = _reduce(f32(-40) if x < f32(-40) else x)
            power = i32((f32(t).view(i32) << 23) + (127 << 23)).view(f32)
            return p * power + (power - f32(1))

        return single

    def double(x: Any) -> Any:
        p, t = _reduce(-80.0 if x < -80.0 else x)
        power = i64((f64(t).view(i64) << 52) + (1023 << 52)).view(f64)
        return p * power + (power - 1.0)

    return double


@by_type
def log1p_unit(x: Any) -> Any:
    """``log(1 + x)`` for 0 <= x <= 1 or NaN, by the series of ``2 atanh(x / (2 + x))``."""
    if x == types.float32:

        def single(x: Any) -> Any:
            s = x / (f32(2) + x)
            z = s * s
            p = f32(0.14006759) * z + f32(0.14000751)
            p = p * z + f32(0.20010772)
            p = p * z + f32(0.33333209)
            s = s + s
            return p * z * s + s

        return single

    def double(x: Any) -> Any:
        s = x / (2.0 + x)
        z = s * s
        p = 0.08528931792128949 * z + 0.04164841433047803
        p = p * z + 0.06052791068221486
        p = p * z + 0.06650733341308213
        p = p * z + 0.07693241877698766
        p = p * z + 0.09090874824146625
        p = p * z + 0.1111111186739814
        p = p * z + 0.14285714276512348
        p = p * z + 0.20000000000051577
        p = p * z + 0.3333333333333325
        s = s + s
        return p * z * s + s

    return double
