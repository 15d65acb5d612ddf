"""Totals over regions of a frame: the power of what detrending leaves, at each frequency."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compilation import compiled
from .regions import Recipe

__all__ = ["Sums", "totals", "whole_plane"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_AT_ONCE = 16  # regions, which stay in the caches until they are transformed


class Sums(NamedTuple):
    """Totals over regions: half of the plane, the square of what is left, and of the next order of polynomials; the means."""

    half: Floats
    square: float
    next_order: float
    level: float


def totals(frame: Floats, rows: Integers, columns: Integers, recipe: Recipe) -> Sums:
    """Return the totals over the regions of a frame that begin at some rows and columns.

    Parameters
    ----------
    frame : ndarray, shape (rows, columns), float64
        Pixels.
    rows, columns : ndarray, shape (n,), int64
        Where the regions begin.
    recipe : Recipe
        What is done to each.
    """
    height, width = recipe.size
    regions, facts = np.empty((min(_AT_ONCE, len(rows)), height, width)), np.zeros(3)
    power = np.zeros((height, width // 2 + 1))
    for start in range(0, len(rows), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        here = regions[: len(rows) - start]
        _prepare(frame, rows[some], columns[some], *recipe.basis, recipe.degree, *recipe.taper, here, facts)
        half = np.fft.fft(np.fft.rfft(here), axis=1)
        _add_power(np.ascontiguousarray(half).view(np.float64), power)
    square, following, levels = facts.tolist()
    return Sums(power, square, following, levels)


def whole_plane(half: Floats, columns: int, norm: float) -> Floats:
    """Return all frequencies of the power of real numbers, over `norm`, frequency 0 in the middle."""
    plane = np.empty((len(half), columns))
    _unfold(half, norm, plane)
    return plane


@compiled(
    "(float64[:, ::1], int64[::1], int64[::1], float64[:, ::1], float64[:, ::1], int64, float64[::1], float64[::1],"
    " float64[:, :, ::1], float64[::1])"
)
def _prepare(
    frame: Floats, rows: Integers, columns: Integers, down: Floats, along: Floats, degree: int, taper_down: Floats,
    taper_along: Floats, regions: Floats, facts: Floats,
) -> None:  # fmt: skip
    """Copy regions, subtract the polynomials, apply the window; add up squares, those of the next order, and the means."""
    _, height, width = regions.shape
    terms = degree + 2
    # Column by column, so that sums need not wait for each other, and errors of rounding stay small.
    sums, amplitudes = np.empty(width), np.empty((terms, terms))
    lines = np.empty((terms, width))
    for index in range(rows.size):
        region = regions[index]
        sums[:] = 0.0
        for row in range(height):
            line, pixels = region[row], frame[rows[index] + row, columns[index] :]
            for column in range(width):
                line[column] = pixels[column]
                sums[column] += pixels[column]
        # The mean first: a small noise on large values would lose digits.
        level = sums.sum() / (height * width)
        lines[:] = 0.0
        for row in range(height):
            line = region[row]
            for column in range(width):
                line[column] -= level
            for i in range(terms):
                factor, total = down[row, i], lines[i]
                for column in range(width):
                    total[column] += factor * line[column]
        for i in range(terms):
            for j in range(terms):
                amplitudes[i, j] = (lines[i] * along[:, j]).sum()
                if i + j == degree + 1:
                    facts[1] += amplitudes[i, j] ** 2
        lines[:] = 0.0
        if degree:
            for i in range(degree + 1):
                for j in range(degree + 1 - i):
                    for column in range(width):
                        lines[i, column] += amplitudes[i, j] * along[column, j]
        sums[:] = 0.0
        for row in range(height):
            line, weight = region[row], taper_down[row]
            if degree:
                for i in range(degree + 1):
                    factor, total = down[row, i], lines[i]
                    for column in range(width):
                        line[column] -= factor * total[column]
            for column in range(width):
                line[column] *= weight * taper_along[column]
                sums[column] += line[column] * line[column]
        facts[0] += sums.sum()
        facts[2] += level


@compiled("(float64[:, :, ::1], float64[:, ::1])")
def _add_power(half: Floats, power: Floats) -> None:
    """Add the squared magnitudes of complex numbers, whose real and imaginary parts take turns."""
    for index in range(half.shape[0]):
        for row in range(power.shape[0]):
            parts, line = half[index, row], power[row]
            for column in range(power.shape[1]):
                line[column] += parts[2 * column] * parts[2 * column] + parts[2 * column + 1] * parts[2 * column + 1]


@compiled("(float64[:, ::1], float64, float64[:, ::1])")
def _unfold(half: Floats, norm: float, plane: Floats) -> None:
    """Fill the plane with its half, and with that of the opposite frequencies."""
    rows, columns = plane.shape
    for row in range(rows):
        line = plane[(row + rows // 2) % rows]
        same, opposite = half[row], half[(rows - row) % rows]
        for column in range(columns):
            value = same[column] if column < half.shape[1] else opposite[columns - column]
            line[(column + columns // 2) % columns] = value / norm
