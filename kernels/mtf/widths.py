"""Full width at half and at tenth maximum of sampled profiles, as NEMA NU 1 and NU 2 prescribe."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compilation import compiled, inlined

__all__ = ["Strip", "strips_of", "width_at"]

Floats = NDArray[np.float64]

_STRIP_MM = 30.0
_STRIP_ROWS = 16  # where the spacing is not known


class Strip(NamedTuple):
    """A part of a line source.

    Parameters
    ----------
    first, last : int
        Its rows (columns for a line that goes from column to column) in the region, half-open.
    fwhm_px, fwtm_px : float
        Widths across the line [pixels across]; NaN where the profile does not fall that low on both sides.
    fwhm_mm, fwtm_mm : float or None
        The same [mm]; None where the spacing is not known.
    peak : float
        Maximum of the summed profile.
    """

    first: int
    last: int
    fwhm_px: float
    fwtm_px: float
    fwhm_mm: float | None
    fwtm_mm: float | None
    peak: float


def width_at(profile: Floats, fraction: float) -> tuple[float, float]:
    """Return the width of a profile at a fraction of its maximum [samples], and the maximum.

    Parameters
    ----------
    profile : ndarray, shape (n,), float64
        Equally spaced samples of a peak.
    fraction : float
        0.5 for FWHM, 0.1 for FWTM.

    Returns
    -------
    width, maximum : float
        The maximum is that of the parabola through the highest sample and its two neighbours; on each side the fraction of
        it is found on the straight line between the two samples around it. NaN where a side does not fall that low.

    Examples
    --------
    >>> width_at(np.array([0.0, 0.0, 1.0, 2.0, 1.0, 0.0, 0.0]), 0.5)
    (2.0, 2.0)
    """
    width, maximum = _width(np.require(profile, np.float64, ("C", "W", "A")), float(fraction))
    return width, maximum


@compiled("(float64[::1], float64)")
def _width(profile: Floats, fraction: float) -> tuple[float, float]:
    """Return the width at a fraction of the maximum, and the maximum."""
    top = int(np.argmax(profile))
    maximum = profile[top]
    if 0 < top < profile.size - 1:
        before, after = profile[top - 1], profile[top + 1]
        bend = before - 2 * profile[top] + after
        if bend < 0:
            maximum -= (after - before) ** 2 / (8 * bend)
    level = fraction * maximum
    return _reach(profile[top::-1], level) + _reach(profile[top:], level), maximum


@inlined
def _reach(side: Floats, level: float) -> float:
    """Return after how many samples a falling side reaches a level."""
    for first in range(side.size):
        if side[first] < level:
            if first == 0:
                return np.nan
            high, low = side[first - 1], side[first]
            return float(first - 1 + (high - level) / (high - low))
    return np.nan


def strips_of(pixels: Floats, centres: Floats, cosine: float, spacing: tuple[float, float] | None) -> tuple[Strip, ...]:
    """Return the widths of a line source, strip by strip.

    Parameters
    ----------
    pixels : ndarray, shape (rows, columns), float64
        The line goes from row to row.
    centres : ndarray, shape (rows,), float64
        Where it is in each row [columns].
    cosine : float
        Of the angle between the line and the direction of the rows' stacking.
    spacing : tuple of float or None
        Row and column spacing [mm].

    Returns
    -------
    tuple of Strip
        Equal parts of at most 30 mm (but of one row at least), or of at most 16 rows where the spacing is not known. The rows of a strip are shifted
        onto each other, by their exact shift, before they are summed: a slanted line is not widened.
    """
    rows, columns = pixels.shape
    length = rows / _STRIP_ROWS if spacing is None else rows * spacing[0] / cosine / _STRIP_MM
    borders = np.linspace(0, rows, min(int(np.ceil(length - 1e-9)), rows) + 1).round().astype(int)
    frequencies = np.fft.rfftfreq(columns)
    counts = np.diff(borders)
    shifts = centres - np.repeat(np.add.reduceat(centres, borders[:-1]) / counts, counts)
    moved = np.fft.rfft(pixels, axis=1) * np.exp(2j * np.pi * shifts[:, None] * frequencies)
    profiles = np.fft.irfft(np.add.reduceat(moved, borders[:-1], axis=0), columns)
    strips = []
    for first, last, profile in zip(borders[:-1].tolist(), borders[1:].tolist(), profiles, strict=True):
        (half, peak), (tenth, _) = width_at(profile, 0.5), width_at(profile, 0.1)
        half, tenth = half * cosine, tenth * cosine
        unit = None if spacing is None else spacing[1]
        half_mm, tenth_mm = (None, None) if unit is None else (half * unit, tenth * unit)
        strips.append(Strip(first, last, half, tenth, half_mm, tenth_mm, peak))
    return tuple(strips)
