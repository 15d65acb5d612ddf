"""Least squares of a cubic spline on pixels at any distance from an edge, without bins that would blur it.

The distances fall into intervals of :data:`STEP`; within one the spline is a cubic, so that seven moments of the
distances and four of the pixel values say all about its pixels that least squares needs. Nothing is approximated.
"""

import numpy as np
from numpy.typing import NDArray

from ..compilation import inlined

__all__ = ["MOMENTS", "STEP", "accumulate", "normal_equations", "pieces", "squares"]

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
def accumulate(
    moments: Floats,
    pixels: Floats,
    first: int,
    end: int,
    line: tuple[float, float, float],
    low: float,
    gain: float,
    work: Floats,
) -> None:
    """Add the pixels of a row from `first` to `end`; intervals to a pixel, before the edge, and its column are the `line`.

    `work` has two rows with room for as many numbers.
    """
    pace, before, edge = line
    places, parts = work[0], work[1]
    # Apart from the sums, which many pixels share, the arithmetic is done for several pixels at once.
    for i in range(end - first):
        u = (first + i - edge) * pace + before
        places[i] = np.floor(u)
        parts[i] = u - np.floor(u) - 0.5
    for i in range(end - first):
        k = int(places[i])
        if 0 <= k < moments.shape[0]:
            here = moments[np.uint64(k)]
            t = parts[i]
            value = (pixels[first + i] - low) * gain
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
    a, b, c, d = spline[k], spline[k + 1], spline[k + 2], spline[k + 3]
    here = moments[k]
    p0 = (a + d + 23.0 * (b + c)) / 48.0
    p1 = (d - a + 5.0 * (c - b)) / 8.0
    p2 = (a + d - b - c) / 4.0
    p3 = (d - a + 3.0 * (b - c)) / 6.0
    total = here[11] - 2.0 * (p0 * here[7] + p1 * here[8] + p2 * here[9] + p3 * here[10])
    total += p0 * p0 * here[0] + 2.0 * p0 * p1 * here[1] + (2.0 * p0 * p2 + p1 * p1) * here[2]
    total += 2.0 * (p0 * p3 + p1 * p2) * here[3] + (2.0 * p1 * p3 + p2 * p2) * here[4]
    total += 2.0 * p2 * p3 * here[5] + p3 * p3 * here[6]
    return max(float(total), 0.0)


@inlined
def pieces(spline: Floats, powers: Floats) -> None:
    """Fill, for each interval, the four coefficients of the spline in powers of the distance from its middle."""
    for k in range(spline.size - 3):
        for p in range(4):
            value = 0.0
            for i in range(4):
                value += spline[k + i] * _PIECES[i, p]
            powers[k, p] = value
