"""The sums that structural similarity is the mean of, under a Gaussian window of 11 x 11 pixels and sigma 1.5."""

from math import exp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compilation import borrowing, compiled
from .intensity import TYPES

__all__ = ["REACH", "halved", "summed_similarity"]

Floats = NDArray[np.float64]

REACH = 5
_SIGMA = 1.5
_TAPS = [exp(-(t**2) / (2 * _SIGMA**2)) for t in range(REACH + 1)]
_W0, _W1, _W2, _W3, _W4, _W5 = (tap / (_TAPS[0] + 2 * sum(_TAPS[1:])) for tap in _TAPS)
# Tiles stay in the first-level cache. The distance between their rows is a constant: only then does the compiler see
# that rows do not overlap, and work on several pixels at once.
_TILE = 96
_STRIP = 12
_STRIDE = _TILE + 16


@compiled(*(f"({kind}[:, :, ::1],)" for kind in TYPES))
def halved(planes: NDArray[Any]) -> Floats:
    """Return the means of 2 x 2 pixels of each plane; a last row or column without partner counts twice."""
    count, rows, columns = planes.shape
    halves = np.empty((count, (rows + 1) // 2, (columns + 1) // 2))
    for index in range(count):
        plane, half = planes[index], halves[index]
        for i in range(half.shape[0]):
            one, other = plane[2 * i], plane[min(2 * i + 1, rows - 1)]
            for j in range(columns // 2):
                half[i, j] = 0.25 * (np.float64(one[2 * j]) + one[2 * j + 1] + other[2 * j] + other[2 * j + 1])
            if columns % 2:
                half[i, columns // 2] = 0.5 * (np.float64(one[columns - 1]) + other[columns - 1])
    return halves


@compiled(
    *(
        f"({kind}[:, :, ::1], {kind}[:, :, ::1], float64[:, ::1], float64[:, :, ::1], int64, float64[:, :, :, ::1],"
        " float64[:, ::1])"
        for kind in TYPES
    )
)
def summed_similarity(
    frames: NDArray[Any], references: NDArray[Any], constants: Floats, weights: Floats, margin: int, maps: Floats,
    sums: Floats,
) -> None:  # fmt: skip
    """Fill, for each pair, the summed similarity, and that of contrast and structure, of all pixels but the margin's.

    A single reference is that of all frames. The maps are filled and the weights taken where they are not empty. Sum and
    difference of two images take their place: two means and two mean squares then hold all five moments.
    """
    rows, columns = frames.shape[1:]
    tile = np.empty(2 * (_STRIP + 2 * REACH) * _STRIDE)
    filtered = np.empty(4 * _STRIDE)
    both = np.empty(_TILE)
    structure = np.empty(_TILE)
    results = np.empty(2 * _STRIDE)
    for index in range(frames.shape[0]):
        frame, reference = frames[index], references[index if references.shape[0] > 1 else 0]
        c1, c2 = constants[index, 0], constants[index, 1]
        both[:] = 0.0
        structure[:] = 0.0
        for top in range(margin, rows - margin, _STRIP):
            height = min(_STRIP, rows - margin - top)
            for left in range(margin, columns - margin, _TILE):
                width = min(_TILE, columns - margin - left)
                _load(frame, reference, top - REACH, left - REACH, height, width, tile)
                for k in range(height):
                    _filter(tile, k, width, 2 * c1, 2 * c2, filtered, results)
                    if weights.size:
                        weight = weights[index, top + k, left:]
                        for j in range(width):
                            both[j] += weight[j] * results[j]
                            structure[j] += weight[j] * results[_STRIDE + j]
                    else:
                        for j in range(width):
                            both[j] += results[j]
                            structure[j] += results[_STRIDE + j]
                    if maps.size:
                        for j in range(width):
                            maps[index, 0, top + k, left + j] = results[j]
                            maps[index, 1, top + k, left + j] = results[_STRIDE + j]
        sums[index, 0], sums[index, 1] = _total(both), _total(structure)


@borrowing
def _total(lanes: Floats) -> float:
    total = 0.0
    for k in range(lanes.size):
        total += float(lanes[k])
    return total


@borrowing
def _load(
    frame: NDArray[Any], reference: NDArray[Any], top: int, left: int, height: int, width: int, tile: Floats
) -> None:
    """Fill `tile` with sums and differences of the images, mirrored at their border.

    Not with float(), which leaves single precision as it is.
    """
    rows, columns = frame.shape
    inside = left >= 0 and left + width + 2 * REACH <= columns
    other = (_STRIP + 2 * REACH) * _STRIDE
    for k in range(height + 2 * REACH):
        row = _mirrored(top + k, rows)
        target = tile[k * _STRIDE :]
        if inside:
            a, b = frame[row, left:], reference[row, left:]
            for j in range(width + 2 * REACH):
                x, y = np.float64(a[j]), np.float64(b[j])
                target[j], target[other + j] = x + y, x - y
        else:
            for j in range(width + 2 * REACH):
                column = _mirrored(left + j, columns)
                x, y = np.float64(frame[row, column]), np.float64(reference[row, column])
                target[j], target[other + j] = x + y, x - y


@borrowing
def _mirrored(index: int, size: int) -> int:
    if index < 0:
        return -1 - index
    return 2 * size - 1 - index if index >= size else index


@borrowing
def _filter(tile: Floats, k: int, width: int, c1: float, c2: float, filtered: Floats, results: Floats) -> None:
    """Fill `results` with the similarity of one row, and with that of contrast and structure."""
    rows = tile[k * _STRIDE :]
    for j in range(width + 2 * REACH):
        filtered[j], filtered[_STRIDE + j] = _down(rows, j)
        filtered[2 * _STRIDE + j], filtered[3 * _STRIDE + j] = _down(rows, j + (_STRIP + 2 * REACH) * _STRIDE)
    for j in range(width):
        plus, minus = _along(filtered, j) ** 2, _along(filtered, 2 * _STRIDE + j) ** 2
        # Four times the covariance is what the sum varies more than the difference.
        varies = _along(filtered, _STRIDE + j) - plus
        differs = _along(filtered, 3 * _STRIDE + j) - minus
        structure = (varies - differs + c2) / (varies + differs + c2)
        results[j] = (plus - minus + c1) / (plus + minus + c1) * structure
        results[_STRIDE + j] = structure


@borrowing
def _down(tile: Floats, at: int) -> tuple[float, float]:
    """Return the mean and the mean square under the window, down a column."""
    a, b, c = tile[at], tile[at + _STRIDE], tile[at + 2 * _STRIDE]
    d, e, f = tile[at + 3 * _STRIDE], tile[at + 4 * _STRIDE], tile[at + 5 * _STRIDE]
    g, h, i = tile[at + 6 * _STRIDE], tile[at + 7 * _STRIDE], tile[at + 8 * _STRIDE]
    j, k = tile[at + 9 * _STRIDE], tile[at + 10 * _STRIDE]
    mean = _W0 * f + _W1 * (e + g) + _W2 * (d + h) + _W3 * (c + i) + _W4 * (b + j) + _W5 * (a + k)
    square = (
        _W0 * (f * f)
        + _W1 * (e * e + g * g)
        + _W2 * (d * d + h * h)
        + _W3 * (c * c + i * i)
        + _W4 * (b * b + j * j)
        + _W5 * (a * a + k * k)
    )
    return mean, square


@borrowing
def _along(row: Floats, at: int) -> float:
    """Return the mean under the window, along a row."""
    mean: float = (
        _W0 * row[at + 5]
        + _W1 * (row[at + 4] + row[at + 6])
        + _W2 * (row[at + 3] + row[at + 7])
        + _W3 * (row[at + 2] + row[at + 8])
        + _W4 * (row[at + 1] + row[at + 9])
        + _W5 * (row[at] + row[at + 10])
    )
    return mean
