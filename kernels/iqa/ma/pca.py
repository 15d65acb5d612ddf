"""Singular values of the matrix whose rows are the 5x5 patches of an image, side by side without overlap."""

import numpy as np
from numpy.typing import NDArray

from ...compilation import compiled
from .linear import dot, fold, orthogonalise

__all__ = ["singular_values"]

Floats = NDArray[np.float64]

_SIDE = 5


def singular_values(plane: Floats) -> Floats:
    """Return the singular values of the patches of a plane, descending.

    Parameters
    ----------
    plane : ndarray, shape (rows, columns), float64
        Grey values 0 to 1; what is missing in the last patches is zero.

    Returns
    -------
    ndarray, shape (25,) or (number of patches,) if there are fewer, float64
    """
    rows, columns = (-(-size // _SIDE) for size in plane.shape)
    padded = np.zeros((_SIDE * rows, _SIDE * columns))
    padded[: plane.shape[0], : plane.shape[1]] = plane
    values = np.empty(_SIDE * _SIDE)
    _singular_values(padded, values)
    return np.sort(values)[::-1][: rows * columns]


@compiled("(float64[:, ::1], float64[::1])")
def _singular_values(padded: Floats, values: Floats) -> None:
    """Fill in the singular values, in no order, by a QR decomposition row of patches by row of patches."""
    triangle = np.zeros((_SIDE * _SIDE, _SIDE * _SIDE))
    patches = np.empty((_SIDE * _SIDE, padded.shape[1] // _SIDE))
    for top in range(0, padded.shape[0], _SIDE):
        for i in range(_SIDE):
            for j in range(_SIDE):
                for patch in range(patches.shape[1]):
                    patches[_SIDE * i + j, patch] = padded[top + i, _SIDE * patch + j]
        fold(triangle, patches)
    orthogonalise(triangle, np.empty((_SIDE * _SIDE, 0)))
    for k in range(values.size):
        values[k] = np.sqrt(dot(triangle[k], triangle[k]))
