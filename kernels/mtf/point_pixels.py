"""The pixels around a point source, above the plane of its background: how noisy they are, and how far the source reaches."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compilation import compiled, inlined
from .smoothing import Samples, fit_curve

__all__ = ["BORDER", "Around", "Plane", "around", "noise_of_counts"]

Floats = NDArray[np.float64]

BORDER = 0.9
"""Share of the radius of a circle beyond which pixels tell the background."""

_FEWEST = 25  # pixels that a smooth profile is fitted to
_FOURTH = np.array([1.0, -4.0, 6.0, -4.0, 1.0])


class Plane(NamedTuple):
    """Where a source is, in a background that is a plane.

    Parameters
    ----------
    row, column : float
        Of the source.
    high, wide : float
        Row and column spacing, the unit of distances.
    level, down, along : float
        Height of the background at the source, and its slopes along y and x.
    """

    row: float
    column: float
    high: float
    wide: float
    level: float
    down: float
    along: float


class Around(NamedTuple):
    """What was found around a source.

    Parameters
    ----------
    above : ndarray, shape (rows, columns), float64
        The pixels less their background.
    x, y, value : ndarray, shape (n,), float64
        The pixels of the circle as far as the source rises above the noise: where they are, from it, and `above`.
    noise : float
        Standard deviation of the background.
    ring : int
        How many pixels tell that.
    extent : float
        The radius beyond which nothing rises above the noise, with some room; infinite if it always does. That is where
        three rings in a row show nothing: of many rings, some single one farther out does so by chance.
    """

    above: Floats
    x: Floats
    y: Floats
    value: Floats
    noise: float
    ring: int
    extent: float


def around(pixels: Floats, plane: Plane, room: float) -> Around:
    """Return what is in the circle of radius `room` around a source.

    Examples
    --------
    >>> row, column = np.mgrid[:41, :41] - 20
    >>> found = around(900.0 * np.exp(-(row**2 + column**2) / 8) + 7, Plane(20.0, 20.0, 1.0, 1.0, 7.0, 0.0, 0.0), 20.0)
    >>> round(float(found.value.sum())), found.noise < 1e-9
    (22619, True)
    """
    above, facts = np.empty(pixels.shape), np.empty(3)
    x, y, value = _around(pixels, np.array(plane), room, above, facts)
    noise, ring, extent = facts.tolist()
    return Around(above, x, y, value, noise, int(ring), extent)


def noise_of_counts(above: Floats, plane: Plane, noise: float) -> float:
    """Return the variance of pixels per value, beyond that of the background."""
    gathered, facts = np.empty((2, above.size)), np.empty(3)
    count = _bright(above, np.array(plane), gathered, facts)
    squares, values, total = facts.tolist()
    rough = max((squares - noise**2 * count[1]) / values, 0.0) if count[1] else np.inf
    one, other = sorted((rough, _scatter(gathered[:, : count[0]], total, noise)))
    # The source's shape may make one far too large; where they agree, the larger leaves the band honest.
    return float(other if other < 2 * one else one)


def _scatter(gathered: Floats, total: float, noise: float) -> float:
    """Return the variance per value around a smooth profile over ellipses; a round or elliptic source leaves nothing."""
    distance, value = gathered
    count = len(value)
    if count < _FEWEST:
        return np.inf
    # Mirrored, so that the profile is even.
    ones = np.ones(2 * count)
    samples = Samples(np.concatenate((distance, -distance)), np.concatenate((value, value)), ones, ones)
    reach = float(distance.max())
    # Every pixel is there twice, which must not count as twice the evidence.
    curve = fit_curve(samples, (-reach, reach), 0.4 * reach, correlation=2.0)
    residual = value - curve.at(distance)[0]
    freedom = count / max(count - 0.5 * curve.freedom, 1.0)
    return max(float(((residual**2).sum() * freedom - noise**2 * count) / total), 0.0)


@compiled("(float64[:, ::1], float64[::1], float64, float64[:, ::1], float64[::1])")
def _around(pixels: Floats, plane: Floats, room: float, above: Floats, facts: Floats) -> Floats:
    """Fill `above` and the numbers of :class:`Around` (noise, pixels of the ring, extent); return the pixels of the source."""
    row, column, high, wide, level, down, along = plane
    rows, columns = pixels.shape
    inner, outer = BORDER * room, room + 1.0
    total = pixels_of_ring = 0.0
    for i in range(rows):
        y = (i - row) * high
        for j in range(columns):
            x = (j - column) * wide
            above[i, j] = pixels[i, j] - level - down * y - along * x
            if inner < math.sqrt(y * y + x * x) <= outer:
                total += above[i, j]
                pixels_of_ring += 1.0
    mean, squares = total / pixels_of_ring, 0.0
    sums, counts = np.zeros(int(room) + 1), np.zeros(int(room) + 1)
    for i in range(rows):
        y = (i - row) * high
        for j in range(columns):
            x = (j - column) * wide
            distance = math.sqrt(y * y + x * x)
            if distance <= room:
                sums[int(distance)] += above[i, j]
                counts[int(distance)] += 1.0
            if inner < distance <= outer:
                squares += (above[i, j] - mean) ** 2
    noise = math.sqrt(squares / pixels_of_ring)
    extent = _extent(sums, counts, 3.0 * noise)
    facts[0], facts[1], facts[2] = noise, pixels_of_ring, extent
    # Few rings hold all of the source, where the background is seen around it.
    count, radius = 0.0, min(room, extent)
    for ring in range(min(int(radius) + 1, counts.size)):
        count += counts[ring]
    gathered, found = np.empty((3, int(count))), 0
    for i in range(max(int(row - radius / high), 0), min(int(row + radius / high) + 2, rows)):
        y = (i - row) * high
        for j in range(max(int(column - radius / wide), 0), min(int(column + radius / wide) + 2, columns)):
            x = (j - column) * wide
            if math.sqrt(y * y + x * x) <= radius:
                gathered[0, found], gathered[1, found], gathered[2, found] = x, y, above[i, j]
                found += 1
    return gathered[:, :found]


@inlined
def _extent(sums: Floats, counts: Floats, limit: float) -> float:
    """Return the extent that follows from rings, whose sums have a limit of that of a pixel times the root of their number."""
    empty = 0
    for ring in range(sums.size):
        empty = empty + 1 if abs(sums[ring]) <= limit * math.sqrt(counts[ring]) else 0
        if empty == 3:
            return 1.3 * (ring - 2) + 2.0 if ring > 2 else np.inf
    return np.inf


@compiled("(float64[:, ::1], float64[::1], float64[:, ::1], float64[::1])")
def _bright(above: Floats, plane: Floats, gathered: Floats, facts: Floats) -> tuple[int, int]:
    """Fill distances over ellipses and values of bright pixels; return how many, and how many have fourth differences.

    The facts are the squares of those, which a source that the pixels resolve leaves little of, and the sums of these
    pixels and of all that are bright.
    """
    row, column, high, wide = plane[0], plane[1], plane[2], plane[3]
    rows, columns = above.shape
    top = above.max()
    squares = values = total = moment_y = moment_x = 0.0
    resolved = bright = 0
    for i in range(rows):
        for j in range(columns):
            value = above[i, j]
            if value > 0.02 * top:
                y, x = (i - row) * high, (j - column) * wide
                total += value
                moment_y += value * y * y
                moment_x += value * x * x
                bright += 1
            if value > 0.1 * top and 2 <= i < rows - 2 and 2 <= j < columns - 2:
                fourth = 0.0
                for p in range(5):
                    for q in range(5):
                        fourth += _FOURTH[p] * _FOURTH[q] * above[i + p - 2, j + q - 2]
                squares += (fourth / 70.0) ** 2
                values += value
                resolved += 1
    ratio = math.sqrt(moment_y / max(moment_x, 1e-300)) if moment_y > 0.0 else 1.0
    shrink, near, count = math.sqrt(ratio), 1.2 * math.sqrt(bright / math.pi), 0
    for i in range(rows):
        y = (i - row) * high / shrink
        for j in range(columns):
            if above[i, j] > 0.02 * top:
                x = (j - column) * wide * shrink
                distance = math.sqrt(y * y + x * x)
                if distance < near:
                    gathered[0, count], gathered[1, count] = distance, above[i, j]
                    count += 1
    facts[0], facts[1], facts[2] = squares, values, total
    return count, resolved
