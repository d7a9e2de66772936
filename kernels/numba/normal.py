"""The normal distribution function, for GELU: without branches or calls, like those of maths.py."""

from typing import Any

from numba import types

from nnkit.kernels.numba.codegen.jit import by_type
from nnkit.kernels.numba.maths import (
    LN2_HIGH_32,
    LN2_HIGH_64,
    LN2_LOW_32,
    LN2_LOW_64,
    LOG2_E,
    ROUND_32,
    ROUND_64,
    expm1_small,
    f32,
    f64,
    i32,
    i64,
)


def _single(t: Any) -> Any:
    t = f32(14.5) if t > f32(14.5) else t
    near = (t + f32(ROUND_32 / 16)) - f32(ROUND_32 / 16)
    high, low = near * near * f32(-0.5), (near - t) * (near + t) * f32(0.5)
    exponent = (high + low) * f32(LOG2_E) + f32(ROUND_32)
    n = exponent - f32(ROUND_32)
    r = ((high - n * f32(LN2_HIGH_32)) - n * f32(LN2_LOW_32)) + low
    scale = i32((f32(exponent).view(i32) << 23) + ((127 + 64) << 23)).view(f32)
    e = (expm1_small(r) + f32(1)) * scale
    w = f32(3.5) / (t + f32(3.5))
    p = f32(-0.017509071) * w + f32(0.11064871)
    p = p * w + f32(-0.26677337)
    p = p * w + f32(0.2847398)
    p = p * w + f32(-0.14967926)
    p = p * w + f32(0.13799757)
    p = p * w + f32(0.06452939)
    p = p * w + f32(0.10843617)
    p = p * w + f32(0.11361055)
    p = p * w + f32(0.11399953)
    return e * (p * w) * f32(2.0**-64), e * f32(2.0**-64)


def _double(t: Any) -> Any:
    t = 39.0 if t > 39.0 else t
    near = (t + ROUND_64 / 16) - ROUND_64 / 16
    high, low = near * near * -0.5, (near - t) * (near + t) * 0.5
    exponent = (high + low) * LOG2_E + ROUND_64
    n = exponent - ROUND_64
    r = ((high - n * LN2_HIGH_64) - n * LN2_LOW_64) + low
    scale = i64((f64(exponent).view(i64) << 52) + ((1023 + 128) << 52)).view(f64)
    e = (expm1_small(r) + 1.0) * scale
    w = 5.0 / (t + 5.0)
    p = 0.000486555396156405 * w + -0.00408161647829433
    p = p * w + 0.012979547353686609
    p = p * w + -0.012855940602575713
    p = p * w + -0.0346981671640378
    p = p * w + 0.14606520938948883
    p = p * w + -0.26467502617133315
    p = p * w + 0.31357988222492766
    p = p * w + -0.275321545948435
    p = p * w + 0.17976088611575344
    p = p * w + -0.09213633866318532
    p = p * w + 0.04511084527164749
    p = p * w + 0.0027577511869160652
    p = p * w + 0.028791807892239056
    p = p * w + 0.03695082902206237
    p = p * w + 0.04988597237541907
    p = p * w + 0.0610107578769546
    p = p * w + 0.07021481569046337
    p = p * w + 0.07659686108642341
    p = p * w + 0.0797884580983953
    p = p * w + 0.07978845604732761
    return e * (p * w) * 2.0**-128, e * 2.0**-128


@by_type
def normal_tail(t: Any) -> Any:
    """``(Phi(-t), exp(-t**2 / 2))`` for t >= 0 or NaN, Phi the normal distribution function.

    ``Phi(-t) = exp(-t**2 / 2) w p(w)`` with ``w = k / (t + k)`` and a polynomial p, fitted so that
    one formula holds from 0 to where the result is 0 (after Shepherd & Laframboise 1981). As in
    Cody's, t**2 is the exact square of t rounded to 1/16, and a rest: a rounded square would have
    an error that the exponential multiplies.
    """
    return _single if t == types.float32 else _double
