"""Symmetric positive matrices of bandwidth 3: what cubic splines and third differences lead to.

``band[i, m]`` is the element of row `i` and column ``i - m``, 0 where there is none.
"""

import math

import numpy as np
from numpy.typing import NDArray

from ..compilation import inlined

__all__ = ["factor", "multiply", "solve"]

Floats = NDArray[np.float64]


@inlined
def factor(band: Floats, lower: Floats) -> float:
    """Fill `lower` with the unit triangle (columns 1 to 3) and the inverse pivots (column 0); return the log determinant.

    A pivot that is not positive gives minus infinity.
    """
    product, logarithm = 1.0, 0.0
    lower[:] = 0.0
    for i in range(band.shape[0]):
        # Before the third row the missing elements are 0, whatever a negative index finds.
        third = band[i, 3]
        second = band[i, 2] - third * lower[i - 2, 1]
        first = band[i, 1] - second * lower[i - 1, 1] - third * lower[i - 1, 2]
        lower[i, 3] = third * lower[i - 3, 0]
        lower[i, 2] = second * lower[i - 2, 0]
        lower[i, 1] = first * lower[i - 1, 0]
        pivot = band[i, 0] - first * lower[i, 1] - second * lower[i, 2] - third * lower[i, 3]
        if not pivot > 0.0:
            return -np.inf
        lower[i, 0] = 1.0 / pivot
        product *= pivot
        if not 1e-200 < product < 1e200 or i & 3 == 3:
            logarithm += math.log(product)
            product = 1.0
    return logarithm + math.log(product)


@inlined
def solve(lower: Floats, right: Floats, solution: Floats) -> None:
    """Fill `solution` for a factored matrix; it may be `right` itself."""
    n = right.size
    for i in range(n):
        value = right[i]
        for m in range(1, min(i, 3) + 1):
            value -= lower[i, m] * solution[i - m]
        solution[i] = value
    for i in range(n - 1, -1, -1):
        value = solution[i] * lower[i, 0]
        for m in range(1, min(n - 1 - i, 3) + 1):
            value -= lower[i + m, m] * solution[i + m]
        solution[i] = value


@inlined
def multiply(diagonals: Floats, vector: Floats, product: Floats) -> None:
    """Fill `product` with the matrix times `vector`; ``diagonals[m]`` is the column `m` of the band, in one piece."""
    n = vector.size
    for i in range(n):
        product[i] = diagonals[0, i] * vector[i]
    for m in range(1, 4):
        for i in range(m, n):
            product[i] += diagonals[m, i] * vector[i - m]
        for i in range(m, n):
            product[i - m] += diagonals[m, i] * vector[i]
