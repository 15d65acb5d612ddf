"""Least squares of a cubic spline on pixels at any distance from an edge, without bins that would blur it.

The distances fall into intervals of :data:`STEP`; within one the spline is a cubic, so that seven moments of the
distances and four of the pixel values say all about its pixels that least squares needs. Nothing is approximated.
"""

import numpy as np
from numpy.typing import NDArray

from ..compilation import inlined

__all__ = ["MOMENTS", "STEP", "accumulate", "normal_equations", "slope_at", "squares", "value_at"]

Floats = NDArray[np.float64]

# Distance between knots [pixel]: spectra to 2 cycles/pixel are resolved, and errors below Nyquist are of order 1e-7.
STEP = 0.25
# The moments of an interval: 1, t, ... t^6, then y, yt, yt^2, yt^3, then y^2; t runs from -1/2 to 1/2.
MOMENTS = 12

# Powers of t of the four cubic B-splines that overlap an interval.
_PIECES = np.array([[1, -6, 12, -8], [23, -30, -12, 24], [23, 30, -12, -24], [1, 6, 12, 8]]) / 48.0
# _PRODUCTS[i, m, p]: weight of moment p in the product of pieces i and i - m.
_PRODUCTS = np.zeros((4, 4, 7))
for _i in range(4):
    for _m in range(_i + 1):
        _PRODUCTS[_i, _m] = np.convolve(_PIECES[_i], _PIECES[_i - _m])


@inlined
def accumulate(moments: Floats, interval: int, t: float, value: float) -> None:
    """Add one pixel."""
    here = moments[interval]
    t2 = t * t
    t3 = t2 * t
    here[0] += 1.0
    here[1] += t
    here[2] += t2
    here[3] += t3
    here[4] += t2 * t2
    here[5] += t2 * t3
    here[6] += t3 * t3
    here[7] += value
    here[8] += value * t
    here[9] += value * t2
    here[10] += value * t3
    here[11] += value * value


@inlined
def normal_equations(moments: Floats, weights: Floats, band: Floats, right: Floats) -> None:
    """Fill the matrix and the right side of the spline's least squares with one weight per interval."""
    band[:] = 0.0
    right[:] = 0.0
    for k in range(moments.shape[0]):
        if moments[k, 0] == 0.0:
            continue
        weight = weights[k]
        for i in range(4):
            value = 0.0
            for p in range(4):
                value += _PIECES[i, p] * moments[k, 7 + p]
            right[k + i] += weight * value
            for m in range(i + 1):
                value = 0.0
                for p in range(7):
                    value += _PRODUCTS[i, m, p] * moments[k, p]
                band[k + i, m] += weight * value


@inlined
def squares(moments: Floats, spline: Floats, k: int) -> float:
    """Return the sum of squared deviations from the spline in interval `k`."""
    total = moments[k, 11]
    for p in range(4):
        power = 0.0
        for i in range(4):
            power += spline[k + i] * _PIECES[i, p]
        total -= 2.0 * power * moments[k, 7 + p]
        for q in range(4):
            other = 0.0
            for i in range(4):
                other += spline[k + i] * _PIECES[i, q]
            total += power * other * moments[k, p + q]
    return max(float(total), 0.0)


@inlined
def value_at(spline: Floats, k: int, t: float) -> float:
    """Return the spline in interval `k` at `t` from its middle."""
    value = 0.0
    for i in range(4):
        c = spline[k + i]
        value += c * (_PIECES[i, 0] + t * (_PIECES[i, 1] + t * (_PIECES[i, 2] + t * _PIECES[i, 3])))
    return value


@inlined
def slope_at(spline: Floats, k: int, t: float) -> float:
    """Return the derivative of the spline, per knot, in interval `k` at `t` from its middle."""
    value = 0.0
    for i in range(4):
        c = spline[k + i]
        value += c * (_PIECES[i, 1] + t * (2.0 * _PIECES[i, 2] + 3.0 * t * _PIECES[i, 3]))
    return value
