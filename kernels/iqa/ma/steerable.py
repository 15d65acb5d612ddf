"""A steerable pyramid of two scales and six orientations, made in the frequency domain."""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...compilation import compiled, inlined

__all__ = ["ORIENTATIONS", "Pyramid", "steerable_pyramid"]

Floats = NDArray[np.float64]
Spectrum = NDArray[np.complex128]

ORIENTATIONS = 6
_ORDER = ORIENTATIONS - 1
# Samples per octave of the radial, and per half turn of the angular table, between which both are straight.
_RADIAL, _ANGULAR = 256, 1024


class Pyramid(NamedTuple):
    """What a plane is split into.

    Parameters
    ----------
    residual : ndarray, shape (rows, columns), float64
        The highest frequencies, in all directions.
    fine : ndarray, shape (6, rows, columns), float64
        The first octave below, per orientation.
    coarse : ndarray, shape (6, (rows + 1) // 2, (columns + 1) // 2), float64
        The second octave.
    """

    residual: Floats
    fine: Floats
    coarse: Floats


class _Tables(NamedTuple):
    """Transfer functions: high and low pass against octaves from -1 to 0, and one orientation against the angle."""

    high: Floats
    low: Floats
    orientation: Floats


def steerable_pyramid(plane: Floats) -> Pyramid:
    """Return the oriented octaves of a plane; the rest, below them, is left out.

    Parameters
    ----------
    plane : ndarray, shape (rows, columns), float64
        Grey values.

    References
    ----------
    * E. P. Simoncelli and W. T. Freeman, "The steerable pyramid: a flexible architecture for multi-scale derivative
      computation", ICIP 1995.
    * J. Portilla and E. P. Simoncelli, "A parametric texture model based on joint statistics of complex wavelet
      coefficients", IJCV 40, 2000 (the filters, in their Appendix).
    """
    rows, columns = plane.shape
    small = (rows + 1) // 2, (columns + 1) // 2
    spectrum = np.fft.rfft2(plane)
    residual = np.empty_like(spectrum)
    fine = np.zeros((ORIENTATIONS, *spectrum.shape), np.complex128)
    coarse = np.zeros((ORIENTATIONS, small[0], small[1] // 2 + 1), np.complex128)
    _split(spectrum, columns, small[1], *_tables(), residual, fine, coarse)
    back = np.fft.irfft2
    return Pyramid(back(residual, plane.shape), back(fine, plane.shape), back(coarse, small))


@cache
def _tables() -> _Tables:
    octave = np.pi / 2 * np.arange(-_RADIAL - 1, 2) / _RADIAL
    high = np.cos(octave)
    high[0], high[-1] = high[1], high[-2]
    angle = np.pi * np.arange(-2 * _ANGULAR - 1, _ANGULAR + 2) / _ANGULAR
    # 2^5 5! / sqrt(6 10!): the squares of all orientations add up to one.
    gain = np.sqrt(2.0 ** (2 * _ORDER) * 120.0**2 / (ORIENTATIONS * 3628800.0))
    return _Tables(high, np.sqrt(1.0 - high**2), gain * np.cos(angle) ** _ORDER)


@inlined
def _read(table: Floats, position: float) -> float:
    """Return a table's value between two samples; beyond the ends the last slope goes on."""
    index = min(max(int(position), 0), table.size - 2)
    return float(table[index] + (table[index + 1] - table[index]) * (position - index))


@inlined
def _frequency(index: int, size: int) -> int:
    """Return the signed frequency of a row of a spectrum."""
    return index if 2 * index < size else index - size


@compiled(
    "(complex128[:, ::1], int64, int64, float64[::1], float64[::1], float64[::1], complex128[:, ::1], "
    "complex128[:, :, ::1], complex128[:, :, ::1])"
)
def _split(
    spectrum: Spectrum,
    columns: int,
    few_columns: int,
    high: Floats,
    low: Floats,
    orientation: Floats,
    residual: Spectrum,
    fine: Spectrum,
    coarse: Spectrum,
) -> None:
    """Fill in the spectra of the residual and of the oriented bands, half planes all; bands must be zero on entry."""
    rows, few_rows = spectrum.shape[0], coarse.shape[1]
    for y in range(rows):
        v = _frequency(y, rows)
        for x in range(spectrum.shape[1]):
            # The mean has no logarithm; it takes that of its neighbour.
            u = x if x or v else 1
            radius = np.log2(np.sqrt((u / (0.5 * columns)) ** 2 + (v / (0.5 * rows)) ** 2))
            position = (radius + 1.0) * _RADIAL + 1.0
            residual[y, x] = spectrum[y, x] * _read(high, position)
            if radius >= 0.0 or radius <= -3.0:
                continue
            angle = np.arctan2(v / (0.5 * rows), x / (0.5 * columns))
            below = spectrum[y, x] * _read(low, position)
            # Times -i, so that bands of an odd order are real.
            rotated = complex(below.imag, -below.real)
            if radius > -2.0:
                _orient(rotated * _read(high, position + _RADIAL), angle, orientation, fine[:, y, x])
            if radius < -1.0 and 2 * x <= few_columns and -few_rows <= 2 * v < few_rows:
                gain = _read(low, position + _RADIAL) * _read(high, position + 2 * _RADIAL)
                _orient(rotated * gain, angle, orientation, coarse[:, v % few_rows, x])


@inlined
def _orient(value: complex, angle: float, orientation: Floats, bands: Spectrum) -> None:
    for band in range(ORIENTATIONS):
        position = (angle / np.pi - band / ORIENTATIONS + 2.0) * _ANGULAR + 1.0
        bands[band] = value * _read(orientation, position)
