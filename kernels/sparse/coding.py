"""Sparse codes of the patches of an image, and the image that they stand for.

References
----------
* J. Yang, J. Wright, T. S. Huang, Y. Ma, Image super-resolution via sparse representation, IEEE Trans. Image Process. 19
  (2010) 2861: features, the two dictionaries, overlapping patches.
* Y. Li, S. Osher, Coordinate descent optimization for l1 minimization with application to compressed sensing; a greedy
  algorithm, Inverse Probl. Imaging 3 (2009) 487.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compilation import compiled, inlined
from .interpolation import doubled, mirrored

__all__ = ["FEATURES", "PATCH", "back_projected", "codes", "features", "restored"]

PATCH = 5  # pixels of the doubled matrix along a side
FEATURES = 4 * PATCH * PATCH
_MOST_STEPS = 60
_SMALLEST_STEP = 1e-3  # of the code of a patch whose features have length 1


@compiled("(float32[:, ::1], int64[:, ::1])")
def features(image: NDArray[np.float32], corners: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the first and second differences, across and down, of patches of an image.

    Parameters
    ----------
    image : ndarray, shape (rows, columns), float32
        On the doubled matrix.
    corners : ndarray, shape (n, 2), int64
        First row and column of each patch.

    Returns
    -------
    ndarray, shape (n, 100), float32
        Not normalised.
    """
    maps = _differences(image)
    found = np.empty((len(corners), FEATURES), np.float32)
    for at in range(len(corners)):
        _gather(maps, corners[at, 0], corners[at, 1], found[at])
    return found


@compiled("(float32[:, ::1], float32[:, ::1], float32[:, ::1], float64)")
def codes(
    vectors: NDArray[np.float32], low: NDArray[np.float32], gram: NDArray[np.float32], penalty: float
) -> NDArray[np.float32]:
    """Return the lasso codes of feature vectors, each first brought to length 1.

    Parameters
    ----------
    vectors : ndarray, shape (n, 100), float32
        Features.
    low : ndarray, shape (100, atoms), float32
        Dictionary; its columns have length 1.
    gram : ndarray, shape (atoms, atoms), float32
        Inner products of the columns.
    penalty : float
        Weight of the sum of magnitudes, beside half the squared error.

    Returns
    -------
    ndarray, shape (n, atoms), float32
        Codes; 0 for a vector that is 0.
    """
    found = np.zeros((len(vectors), low.shape[1]), np.float32)
    rest = np.empty(low.shape[1], np.float32)
    for at in range(len(vectors)):
        length = _length(vectors[at])
        if length > 0:
            _code(vectors[at], length, low, gram, np.float32(penalty), rest, found[at])
    return found


@compiled("(float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], float64, int64)")
def restored(
    image: NDArray[np.float32],
    low: NDArray[np.float32],
    gram: NDArray[np.float32],
    high: NDArray[np.float32],
    penalty: float,
    step: int,
) -> NDArray[np.float32]:
    """Return an image of twice the rows and columns, each patch of it the mean of that of the bicubic image plus atoms.

    Parameters
    ----------
    image : ndarray, shape (rows, columns), float32
        Of at least 3 x 3 pixels.
    low, gram, penalty
        As for :func:`codes`.
    high : ndarray, shape (atoms, 25), float32
        What each atom looks like on the doubled matrix.
    step : int
        Pixels from one patch to the next.
    """
    smooth = doubled(image)
    maps = _differences(smooth)
    rows, columns = smooth.shape
    sums, weights = np.zeros_like(smooth), np.zeros_like(smooth)
    vector, rest = np.empty(FEATURES, np.float32), np.empty(low.shape[1], np.float32)
    code, patch = np.empty(low.shape[1], np.float32), np.empty(PATCH * PATCH, np.float32)
    for row in range(0, rows - PATCH + step, step):
        top = min(row, rows - PATCH)
        for column in range(0, columns - PATCH + step, step):
            left = min(column, columns - PATCH)
            _gather(maps, top, left, vector)
            length = _length(vector)
            code[:] = 0
            if length > 0:
                _code(vector, length, low, gram, np.float32(penalty), rest, code)
            patch[:] = _mean(smooth, top, left)
            for atom in range(code.size):
                if code[atom] != 0:
                    patch += (length * code[atom]) * high[atom]
            for y in range(PATCH):
                for x in range(PATCH):
                    sums[top + y, left + x] += patch[PATCH * y + x]
                    weights[top + y, left + x] += 1
    sums /= weights
    return sums


@compiled("(float32[:, ::1], float32[:, ::1], int64)")
def back_projected(image: NDArray[np.float32], given: NDArray[np.float32], times: int) -> NDArray[np.float32]:
    """Return an image moved towards one whose means over 2 x 2 pixels are those given.

    Parameters
    ----------
    image : ndarray, shape (2 * rows, 2 * columns), float32
        On the doubled matrix.
    given : ndarray, shape (rows, columns), float32
        The acquired image.
    times : int
        How often the difference is interpolated and added.
    """
    moved = image.copy()
    error = np.empty_like(given)
    for _ in range(times):
        for row in range(given.shape[0]):
            for column in range(given.shape[1]):
                above, below = moved[2 * row], moved[2 * row + 1]
                total = above[2 * column] + above[2 * column + 1] + below[2 * column] + below[2 * column + 1]
                error[row, column] = given[row, column] - np.float32(0.25) * total
        moved += doubled(error)
    return moved


@inlined
def _differences(image: NDArray[Any]) -> NDArray[Any]:
    """Return x[i + 1] - x[i - 1] and x[i + 2] - 2 x[i] + x[i - 2], across and down, shape (4, rows, columns)."""
    rows, columns = image.shape
    two = np.float32(2)
    maps = np.empty((4, rows, columns), np.float32)
    for row in range(rows):
        for at in range(columns):
            left, right = image[row, mirrored(at - 1, columns)], image[row, mirrored(at + 1, columns)]
            above, below = image[mirrored(row - 1, rows), at], image[mirrored(row + 1, rows), at]
            maps[0, row, at], maps[1, row, at] = right - left, below - above
            left, right = image[row, mirrored(at - 2, columns)], image[row, mirrored(at + 2, columns)]
            above, below = image[mirrored(row - 2, rows), at], image[mirrored(row + 2, rows), at]
            centre = two * image[row, at]
            maps[2, row, at], maps[3, row, at] = left - centre + right, above - centre + below
    return maps


@inlined
def _gather(maps: NDArray[Any], top: int, left: int, vector: NDArray[Any]) -> None:
    """Write the features of a patch."""
    at = 0
    for which in range(4):
        for row in range(top, top + PATCH):
            for column in range(left, left + PATCH):
                vector[at] = maps[which, row, column]
                at += 1


@inlined
def _length(vector: NDArray[Any]) -> Any:
    total = np.float32(0)
    for value in vector:
        total += value * value
    return np.sqrt(total)


@inlined
def _mean(image: NDArray[Any], top: int, left: int) -> Any:
    total = np.float32(0)
    for row in range(top, top + PATCH):
        for column in range(left, left + PATCH):
            total += image[row, column]
    return total / np.float32(PATCH * PATCH)


@inlined
def _code(
    vector: NDArray[Any], length: Any, low: NDArray[Any], gram: NDArray[Any], penalty: Any, rest: Any, code: Any
) -> None:
    """Solve one lasso: always change the coefficient that gains most by it, until none moves any more."""
    rest[:] = 0
    for at in range(vector.size):
        weight = vector[at] / length
        row = low[at]
        for atom in range(rest.size):
            rest[atom] += weight * row[atom]
    for _ in range(_MOST_STEPS):
        best, change = 0, np.float32(0)
        for atom in range(rest.size):
            wanted = rest[atom] + code[atom]
            shrunk = max(abs(wanted) - penalty, np.float32(0))
            move = (shrunk if wanted > 0 else -shrunk) - code[atom]
            if abs(move) > abs(change):
                best, change = atom, move
        if abs(change) < _SMALLEST_STEP:
            break
        code[best] += change
        row = gram[best]
        for atom in range(rest.size):
            rest[atom] -= change * row[atom]
