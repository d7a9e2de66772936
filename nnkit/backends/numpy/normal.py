"""The normal distribution function of NumPy arrays, which GELU needs and NumPy lacks.

W. J. Cody, "Rational Chebyshev approximations for the error function", Mathematics of Computation
23 (1969), with the coefficients of his ANORM in ALGORITHM 715 (ACM Transactions on Mathematical
Software 19, 1993).
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from nnkit.backends.contract import Array

MIDDLE, TAIL, END = 0.67448975, sqrt(32), 39.0
"""Where Cody's three formulas meet, and from where on Phi(-t) is 0 in float64."""

# Numerators and denominators, the highest power first: in t^2, in t and in 1 / t^2.
_SMALL = (
    (
        *(0.065682337918207449113, 2.2352520354606839287, 161.02823106855587881),
        *(1067.6894854603709582, 18154.981253343561249),
    ),
    (1, 47.20258190468824187, 976.09855173777669322, 10260.932208618978205, 45507.789335026729956),
)
_MIDDLE = (
    (
        *(1.0765576773720192317e-8, 0.39894151208813466764, 8.8831497943883759412),
        *(93.506656132177855979, 597.27027639480026226, 2494.5375852903726711),
        *(6848.1904505362823326, 11602.651437647350124, 9842.7148383839780218),
    ),
    (
        *(1, 22.266688044328115691, 235.38790178262499861, 1519.377599407554805),
        *(6485.558298266760755, 18615.571640885098091, 34900.952721145977266),
        *(38912.003286093271411, 19685.429676859990727),
    ),
)
_TAIL = (
    (
        *(0.02307344176494017303, 0.21589853405795699, 0.1274011611602473639),
        *(0.022235277870649807, 0.001421619193227893466, 2.9112874951168792e-5),
    ),
    (
        *(1, 1.28426009614491121, 0.468238212480865118, 0.0659881378689285515),
        *(0.00378239633202758244, 7.29751555083966205e-5),
    ),
)


def cdf(x: Array) -> Array:
    """``Phi(x) = (1 + erf(x / sqrt(2))) / 2`` of any shape, in x's dtype.

    Right to 5 units in the last place, the smallest values too; 0 at -inf and NaN at NaN.
    """
    t = np.minimum(np.abs(x), END)
    far = np.maximum(t, TAIL)
    inverse = 1 / np.square(far)
    tail = (1 / sqrt(2 * np.pi) - inverse * _ratio(_TAIL, inverse)) / far
    below = _gauss(t) * np.where(t > TAIL, tail, _ratio(_MIDDLE, t))
    near = 0.5 + x * _ratio(_SMALL, np.square(np.minimum(t, MIDDLE)))
    return np.where(t < MIDDLE, near, np.where(x > 0, 1 - below, below))


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: Array) -> Array:
    """Quotient of two polynomials."""
    return _polynomial(coefficients[0], x) / _polynomial(coefficients[1], x)


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    """Horner's rule, in place: a new array for each sum would cost more than the sum."""
    y = coefficients[0] * x
    for c in coefficients[1:-1]:
        y += c
        y *= x
    y += coefficients[-1]
    return y


def _gauss(t: Array) -> Array:
    """``exp(-t^2 / 2)``: the exact square of t cut to 1/16, and the rest of t^2."""
    cut = np.trunc(t * 16) / 16
    return np.exp(-cut * cut / 2) * np.exp((cut - t) * (cut + t) / 2)
