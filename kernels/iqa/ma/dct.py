"""Statistics of local discrete cosine transforms: shape, variation and orientation of 7x7 blocks, three pixels apart."""

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ...compilation import compiled, inlined
from .shape import ratios, shape_of

__all__ = ["dct_features"]

Floats = NDArray[np.float64]

_SIZE, _STEP, _BORDER = 7, 3, 2
# Directions [degrees] between which a coefficient belongs to one of three groups, 16 each.
_DIRECTIONS = (0, 32, 58, 90)
# Keep ratios finite in flat blocks; part of the definition.
_FLOOR_ALL, _FLOOR_ORIENTED = 1e-7, 1e-8


def dct_features(plane: Floats) -> Floats:
    """Return six numbers about the blocks of a plane.

    Parameters
    ----------
    plane : ndarray, shape (rows, columns), float64
        Grey values 0 to 1.

    Returns
    -------
    ndarray, shape (6,), float64
        Mean shape of the generalised Gaussian over the tenth of the blocks with the least, and over all; mean coefficient
        of variation over the tenth with the greatest, and over all; mean variance between orientations likewise.
    """
    rows, columns = (-(-size // _STEP) for size in plane.shape)
    padded = np.zeros((_STEP * rows + _SIZE - _STEP, _STEP * columns + _SIZE - _STEP))
    padded[_BORDER : _BORDER + plane.shape[0], _BORDER : _BORDER + plane.shape[1]] = plane
    blocks = np.empty((3, rows, columns))
    _blocks(padded, *_tables(), ratios(), blocks)
    shapes, variations, orientations = np.sort(blocks.reshape(3, -1))
    low, high = math.ceil(0.1 * shapes.size), int(0.9 * shapes.size) - 1
    return np.array(
        [
            *(shapes[:low].mean(), shapes.mean()),
            *(variations[high:].mean(), variations.mean()),
            *(orientations[high:].mean(), orientations.mean()),
        ]
    )


@cache
def _tables() -> tuple[Floats, NDArray[np.int64]]:
    """Return the orthonormal transform, and for all coefficients but the first the places of each orientation."""
    order = np.arange(_SIZE)
    basis = np.sqrt(2.0 / _SIZE) * np.cos(np.pi * (2 * order + 1) * order[:, None] / (2 * _SIZE))
    basis[0] = np.sqrt(1.0 / _SIZE)
    directions = np.degrees(np.arctan2(order[:, None], order)).ravel()[1:]
    groups = np.digitize(directions, _DIRECTIONS[1:-1])
    return basis, np.array([np.flatnonzero(groups == group) + 1 for group in range(3)])


@compiled("(float64[:, ::1], float64[:, ::1], int64[:, ::1], float64[::1], float64[:, :, ::1])")
def _blocks(padded: Floats, basis: Floats, oriented: NDArray[np.int64], table: Floats, blocks: Floats) -> None:
    """Fill `blocks` with the shape, coefficient of variation and variance between orientations of each block.

    All blocks of a row are worked on side by side: coefficient by coefficient, block by block.
    """
    rows, columns = blocks.shape[1:]
    every = np.arange(1, _SIZE * _SIZE)
    coefficients = np.empty((_SIZE * _SIZE, columns))
    mean, spread, deviation = np.empty(columns), np.empty(columns), np.empty(columns)
    ratio = np.empty((3, columns))
    for row in range(rows):
        _transform(padded[_STEP * row : _STEP * row + _SIZE], basis, coefficients)
        _moments(coefficients, every, mean, spread, deviation)
        for b in range(columns):
            blocks[0, row, b] = shape_of(spread[b], deviation[b], table)
        for k in range(1, _SIZE * _SIZE):
            for b in range(columns):
                coefficients[k, b] = abs(coefficients[k, b])
        _moments(coefficients, every, mean, spread, deviation)
        for b in range(columns):
            blocks[1, row, b] = np.sqrt(spread[b]) / (mean[b] + _FLOOR_ALL)
        for group in range(3):
            _moments(coefficients, oriented[group], mean, spread, deviation)
            for b in range(columns):
                ratio[group, b] = np.sqrt(spread[b]) / (mean[b] + _FLOOR_ORIENTED)
        for b in range(columns):
            middle = (ratio[0, b] + ratio[1, b] + ratio[2, b]) / 3.0
            level, slanted, steep = ratio[0, b] - middle, ratio[1, b] - middle, ratio[2, b] - middle
            blocks[2, row, b] = (level * level + slanted * slanted + steep * steep) / 2.0


@inlined
def _transform(strip: Floats, basis: Floats, coefficients: Floats) -> None:
    """Transform the blocks of a strip of seven rows: first down, then along.

    In a flat block, what is left beside the mean is rounding, and the ratios make it seen. Sums run in the order of a
    plain matrix product, as in the published numbers: pairwise ones would differ from them by 1e-8.
    """
    columns = coefficients.shape[1]
    down = np.empty(strip.shape[1])
    # Every third sample, so that neighbouring blocks read neighbouring memory.
    thirds = np.empty((_STEP, columns + 2))
    for v in range(_SIZE):
        a0, a1, a2, a3, a4, a5, a6 = basis[v]
        for x in range(down.size):
            total = a0 * strip[0, x] + a1 * strip[1, x] + a2 * strip[2, x] + a3 * strip[3, x]
            down[x] = total + a4 * strip[4, x] + a5 * strip[5, x] + a6 * strip[6, x]
        for phase in range(_STEP):
            for b in range((down.size - phase + _STEP - 1) // _STEP):
                thirds[phase, b] = down[_STEP * b + phase]
        for h in range(_SIZE):
            a0, a1, a2, a3, a4, a5, a6 = basis[h]
            for b in range(columns):
                total = a0 * thirds[0, b] + a1 * thirds[1, b] + a2 * thirds[2, b] + a3 * thirds[0, b + 1]
                total += a4 * thirds[1, b + 1]
                total += a5 * thirds[2, b + 1]
                coefficients[_SIZE * v + h, b] = total + a6 * thirds[0, b + 2]


@inlined
def _moments(coefficients: Floats, places: NDArray[np.int64], mean: Floats, spread: Floats, deviation: Floats) -> None:
    """Fill in mean, unbiased variance and mean absolute deviation over the coefficients at `places`."""
    count = places.size
    mean[:] = 0.0
    spread[:] = 0.0
    deviation[:] = 0.0
    for place in places:
        line = coefficients[place]
        for b in range(mean.size):
            mean[b] += line[b]
    for b in range(mean.size):
        mean[b] /= count
    for place in places:
        line = coefficients[place]
        for b in range(mean.size):
            difference = line[b] - mean[b]
            spread[b] += difference * difference
            deviation[b] += abs(difference)
    for b in range(mean.size):
        spread[b] /= count - 1
        deviation[b] /= count
