"""How alike the local structure of two planes is: the contrast and structure terms of SSIM, averaged."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...compilation import compiled, inlined

__all__ = ["Local", "local", "similarity"]

Floats = NDArray[np.float64]

_SIZE, _SIGMA = 11, 1.5
_STABLE = (0.03 * 255.0) ** 2


class Local(NamedTuple):
    """A plane and its local statistics.

    Parameters
    ----------
    plane : ndarray, shape (rows, columns), float64
        Values.
    mean, variance : ndarray, shape (rows - 10, columns - 10), float64
        Under an 11x11 Gaussian (sigma 1.5) that lies within the plane.
    """

    plane: Floats
    mean: Floats
    variance: Floats


def local(plane: Floats) -> Local:
    """Return a plane with its local means and variances."""
    shape = plane.shape[0] - _SIZE + 1, plane.shape[1] - _SIZE + 1
    statistics = Local(plane, np.empty(shape), np.empty(shape))
    _local(*statistics, _weights())
    return statistics


def similarity(one: Local, other: Local) -> float:
    """Return the mean of (2 cov + C) / (var + var + C) of two planes of one size; 1 if they are equal."""
    return float(_similarity(*one, *other, _weights()))


def _weights() -> Floats:
    """Return the middle and one side of the Gaussian."""
    side: Floats = np.exp(-0.5 * (np.arange(_SIZE // 2 + 1) / _SIGMA) ** 2)
    return side / float(side[0] + 2.0 * side[1:].sum())


@compiled("(float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[::1])")
def _local(plane: Floats, mean: Floats, variance: Floats, weights: Floats) -> None:
    row = np.empty(plane.shape[1])
    firsts, seconds = np.empty((_SIZE, mean.shape[1])), np.empty((_SIZE, mean.shape[1]))
    for y in range(plane.shape[0]):
        _along(plane[y], weights, firsts[y % _SIZE])
        for x in range(row.size):
            row[x] = plane[y, x] * plane[y, x]
        _along(row, weights, seconds[y % _SIZE])
        top = y - _SIZE + 1
        if top >= 0:
            _down(firsts, top, weights, mean[top])
            _down(seconds, top, weights, variance[top])
            for x in range(mean.shape[1]):
                variance[top, x] -= mean[top, x] * mean[top, x]


@compiled(
    "(float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[::1])"
)
def _similarity(
    one: Floats,
    one_mean: Floats,
    one_variance: Floats,
    other: Floats,
    other_mean: Floats,
    other_variance: Floats,
    weights: Floats,
) -> float:
    columns = one_mean.shape[1]
    row, found, totals = np.empty(one.shape[1]), np.empty(columns), np.zeros(columns)
    products = np.empty((_SIZE, columns))
    for y in range(one.shape[0]):
        for x in range(row.size):
            row[x] = one[y, x] * other[y, x]
        _along(row, weights, products[y % _SIZE])
        top = y - _SIZE + 1
        if top < 0:
            continue
        _down(products, top, weights, found)
        for x in range(columns):
            covariance = found[x] - one_mean[top, x] * other_mean[top, x]
            both = one_variance[top, x] + other_variance[top, x]
            totals[x] += (2.0 * covariance + _STABLE) / (both + _STABLE)
    return float(totals.sum() / one_mean.size)


@inlined
def _along(row: Floats, weights: Floats, smooth: Floats) -> None:
    """Smooth along a row, where the window lies within it."""
    w0, w1, w2, w3, w4, w5 = weights
    for x in range(smooth.size):
        near = w0 * row[x + 5] + w1 * (row[x + 4] + row[x + 6]) + w2 * (row[x + 3] + row[x + 7])
        far = w3 * (row[x + 2] + row[x + 8]) + w4 * (row[x + 1] + row[x + 9]) + w5 * (row[x] + row[x + 10])
        smooth[x] = near + far


@inlined
def _down(rows: Floats, top: int, weights: Floats, smooth: Floats) -> None:
    """Smooth across the last eleven rows, of which `top` is the first; row y lies at y modulo eleven."""
    w0, w1, w2, w3, w4, w5 = weights
    a, k = rows[top % _SIZE], rows[(top + 10) % _SIZE]
    b, j = rows[(top + 1) % _SIZE], rows[(top + 9) % _SIZE]
    c, i = rows[(top + 2) % _SIZE], rows[(top + 8) % _SIZE]
    d, h = rows[(top + 3) % _SIZE], rows[(top + 7) % _SIZE]
    e, g = rows[(top + 4) % _SIZE], rows[(top + 6) % _SIZE]
    f = rows[(top + 5) % _SIZE]
    # Two loops, because a compiler vectorises none that reads too many arrays.
    for x in range(smooth.size):
        smooth[x] = w0 * f[x] + w1 * (e[x] + g[x]) + w2 * (d[x] + h[x])
    for x in range(smooth.size):
        smooth[x] += w3 * (c[x] + i[x]) + w4 * (b[x] + j[x]) + w5 * (a[x] + k[x])
