"""Generalised Gaussian distributions, symmetric and asymmetric, from sums of squares, magnitudes and counts.

The published estimators look their shape up in a table from 0.2 to 10 in steps of 0.001 and take the entry whose ratio of
moments is nearest. The ratio is monotonic in the shape, so that bisection finds the same entry.

References
----------
* N. E. Lasmar, Y. Stitou, Y. Berthoumieu, Multiscale skewed heavy tailed model for texture analysis, ICIP 2009.
"""

from functools import cache
from math import gamma

import numpy as np
from numpy.typing import NDArray

from ..compilation import borrowing

__all__ = ["CENTRE", "SHAPE", "SPREAD", "aggd", "nearest", "symmetric", "tables"]

# Columns of the table.
SHAPE, RATIO, SPREAD, CENTRE, INVERSE = range(5)
_COARSE = 128


@cache
def tables() -> NDArray[np.float64]:
    """Return what depends on the shape alone.

    Returns
    -------
    ndarray, shape (9801, 5), float64
        The shapes; the squared mean magnitude over the mean square of a distribution of that shape; its scale over its
        standard deviation; its mean magnitude over its scale; the negative inverse of the ratio, which ascends too.
    """
    shapes = np.arange(200, 10001) / 1000
    first, second, third = (np.array([gamma(k / shape) for shape in shapes.tolist()]) for k in (1, 2, 3))
    inverse = first * third / second**2
    columns = [shapes, second**2 / (first * third), np.sqrt(first / third), second / first, -inverse]
    return np.stack(columns, axis=1)


@borrowing
def nearest(table: NDArray[np.float64], column: int, wanted: float) -> int:
    """Return where an ascending column is nearest to a value, the first if two are; 0 if it is not a number."""
    last: int = table.shape[0] - 1
    if not wanted > table[0, column]:
        return 0
    if wanted >= table[last, column]:
        return last
    # Few entries that stay in the cache, then a straight line between two of them, then steps to the exact place.
    low, high = 0, last // _COARSE
    while low < high:
        middle = (low + high + 1) // 2
        if table[middle * _COARSE, column] < wanted:
            low = middle
        else:
            high = middle - 1
    start, end = low * _COARSE, min((low + 1) * _COARSE, last)
    at, to = table[start, column], table[end, column]
    found = start + int((wanted - at) / (to - at) * (end - start))
    while table[found, column] < wanted:
        found += 1
    while table[found - 1, column] >= wanted:
        found -= 1
    nearer = (table[found - 1, column] - wanted) ** 2 <= (table[found, column] - wanted) ** 2
    return found - 1 if nearer else found


@borrowing
def symmetric(square: float, magnitude: float, table: NDArray[np.float64]) -> int:
    """Return where in the table the shape of a symmetric distribution with this mean square and mean magnitude is."""
    return nearest(table, INVERSE, -square / (magnitude * magnitude))


@borrowing
def aggd(sums: NDArray[np.float64], count: float, table: NDArray[np.float64]) -> tuple[int, float, float]:
    """Return where in the table the shape of an asymmetric distribution is, and its left and right deviation.

    Parameters
    ----------
    sums : ndarray, shape (5,)
        Squares of the negative and of the positive samples, magnitudes, and the numbers of negative and positive ones.
    count : float
        Number of all samples, zeros included.
    table : ndarray
        See :func:`tables`.

    Notes
    -----
    Without samples on either side the deviations there are NaN and the shape is the first of the table.
    """
    left, right = np.sqrt(sums[0] / sums[3]), np.sqrt(sums[1] / sums[4])
    skew = left / right
    ratio = (sums[2] / count) ** 2 / ((sums[0] + sums[1]) / count)
    wanted = ratio * (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    return nearest(table, RATIO, wanted), left, right
