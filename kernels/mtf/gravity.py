"""The centre of gravity of a source, above a plane through the pixels around it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compilation import compiled, inlined

__all__ = ["Balance", "balance"]

Floats = NDArray[np.float64]


class Balance(NamedTuple):
    """What the pixels around a place weigh.

    Parameters
    ----------
    level, down, along : float
        Height of the background at the place, and its slopes along y and x.
    total : float
        Sum above the background.
    y, x : float
        Where the centre of gravity is, from the place.
    doubt : float
        Standard deviation of that, from the noise of the background; infinite where there is no background.
    """

    level: float
    down: float
    along: float
    total: float
    y: float
    x: float
    doubt: float


def balance(
    pixels: Floats, place: tuple[float, float], aspect: tuple[float, float], radii: tuple[float, ...]
) -> Balance:
    """Return the centre of gravity of the pixels in a circle, less the plane through those of a ring.

    Parameters
    ----------
    pixels : ndarray, shape (rows, columns), float64
        C-contiguous and writeable.
    place : tuple of float
        Row and column of the circle's centre.
    aspect : tuple of float
        Row and column spacing, the unit of all distances.
    radii : tuple of float
        Of the circle; the ring lies beyond the second, up to the third.

    Examples
    --------
    >>> row, column = np.mgrid[:40, :40]
    >>> source = 9 * np.exp(-((row - 20.5) ** 2 + (column - 19.0) ** 2) / 8) + 3 + 0.25 * column
    >>> found = balance(source, (20.0, 19.0), (1.0, 1.0), (18.0, 16.0, 19.0))
    >>> round(found.level, 6), round(found.along, 6), round(found.y, 6)
    (7.75, 0.25, 0.5)
    """
    out = np.empty(7)
    _balance(pixels, *place, *aspect, np.array(radii), out)
    return Balance(*out.tolist())


@compiled("(float64[:, ::1], float64, float64, float64, float64, float64[::1], float64[::1])")
def _balance(pixels: Floats, row: float, column: float, high: float, wide: float, radii: Floats, out: Floats) -> None:
    """Fill the seven numbers of a balance."""
    circle, inner, outer = radii[0] * radii[0], radii[1] * radii[1], radii[2] * radii[2]
    matrix, right = np.zeros((3, 3)), np.zeros(3)
    for i in range(pixels.shape[0]):
        y = (i - row) * high
        for j in range(pixels.shape[1]):
            x = (j - column) * wide
            square = y * y + x * x
            if inner < square <= outer:
                value = pixels[i, j]
                matrix[0, 0] += 1.0
                matrix[1, 0] += y
                matrix[2, 0] += x
                matrix[1, 1] += y * y
                matrix[2, 1] += x * y
                matrix[2, 2] += x * x
                right[0] += value
                right[1] += value * y
                right[2] += value * x
    out[:] = np.inf
    if not _solve(matrix, right):
        return
    total = moment_y = moment_x = spread = noise = 0.0
    for i in range(pixels.shape[0]):
        y = (i - row) * high
        for j in range(pixels.shape[1]):
            x = (j - column) * wide
            square = y * y + x * x
            if square <= outer:
                above = pixels[i, j] - right[0] - right[1] * y - right[2] * x
                if square <= circle:
                    total += above
                    moment_y += above * y
                    moment_x += above * x
                    spread += y * y
                if square > inner:
                    noise += above * above
    out[0], out[1], out[2], out[3] = right[0], right[1], right[2], total
    if total != 0.0:
        out[4], out[5] = moment_y / total, moment_x / total
        out[6] = np.sqrt(noise / matrix[0, 0] * spread) / abs(total)


@inlined
def _solve(matrix: Floats, right: Floats) -> bool:
    """Solve three equations whose symmetric matrix is given by its lower triangle, which is kept; tell whether that went well."""
    a, b, c = matrix[0, 0], matrix[1, 0], matrix[2, 0]
    if a <= 0.0:
        return False
    d, e, f = matrix[1, 1] - b * b / a, matrix[2, 1] - b * c / a, matrix[2, 2] - c * c / a
    if d <= 0.0:
        return False
    g = f - e * e / d
    if g <= 0.0:
        return False
    y = right[1] - b / a * right[0]
    z = (right[2] - c / a * right[0] - e / d * y) / g
    y = (y - e * z) / d
    right[0], right[1], right[2] = (right[0] - b * y - c * z) / a, y, z
    return True
