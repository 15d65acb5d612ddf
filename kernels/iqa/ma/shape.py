"""The shape of a generalised Gaussian, from the ratio of its variance to its squared mean deviation."""

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ...compilation import inlined

__all__ = ["ratios", "shape_of"]

_FIRST, _STEP, _COUNT = 0.03, 0.001, 9971
# Keeps the ratio finite where there is no deviation; part of the definition.
_FLOOR = 1e-7


@cache
def ratios() -> NDArray[np.float64]:
    """Return the ratio that belongs to each shape of the grid 0.03, 0.031, ... 10, descending."""
    shapes = (_FIRST + _STEP * index for index in range(_COUNT))
    return np.array([math.gamma(1 / s) * math.gamma(3 / s) / math.gamma(2 / s) ** 2 for s in shapes])


@inlined
def shape_of(variance: float, deviation: float, table: NDArray[np.float64]) -> float:
    """Return the shape on the grid whose ratio is nearest.

    Parameters
    ----------
    variance : float
        Of the samples, unbiased.
    deviation : float
        Mean absolute deviation of the samples from their mean.
    table : ndarray, shape (9971,), float64
        What :func:`ratios` returns.
    """
    ratio = variance / (deviation * deviation + _FLOOR)
    low, high = 0, _COUNT
    while low < high:
        middle = (low + high) // 2
        if table[middle] <= ratio:
            high = middle
        else:
            low = middle + 1
    # The first of equally near shapes counts, as in a search through the whole table.
    if low == _COUNT or (low > 0 and table[low - 1] - ratio <= ratio - table[low]):
        low -= 1
    return _FIRST + _STEP * low
