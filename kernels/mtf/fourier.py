"""The Fourier transform of a smooth curve, with an uncertainty."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..compilation import compiled
from .smoothing import Curve
from .splines import STEP, variances

__all__ = ["FREQUENCIES", "spectrum"]

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]

FREQUENCIES: Floats = np.linspace(0.0, 0.5, 129)
"""Where curves are given [cycles/pixel]."""

_SPARSE = 8  # the uncertainty is computed at every eighth frequency


def spectrum(curve: Curve, *, taper: Floats | None = None, tails: int = 0) -> tuple[Floats, Floats]:
    """Return the modulation of a curve, and its standard error.

    Parameters
    ----------
    curve : Curve
        The profile of an edge or of a line.
    taper : ndarray, shape (k - 1,), float64, optional
        For an edge: its derivative, times these factors between the knots, is transformed.
    tails : int
        For a line: the number of coefficients at each end through whose means the baseline goes.

    Returns
    -------
    modulation, error : ndarray, shape (129,), float64
        At :data:`FREQUENCIES`: modulation, 1 at frequency 0, not below 0; standard error of noise and smoothing.
    """
    coefficients = curve.coefficients
    if taper is not None:
        parts, order = taper * np.diff(coefficients), 3
    else:
        parts, order = coefficients - _baseline(coefficients, tails), 4
    transform = np.empty(FREQUENCIES.size, np.complex128)
    _transform(_ready(parts), order, FREQUENCIES, transform)
    total = transform[0].real
    raw = np.abs(transform) / abs(total)
    # What a change of the coefficients does to the modulation: along the transform it lengthens it, across it turns it.
    some = transform[::_SPARSE]
    linear = _onto_coefficients(_waves(len(parts), order), taper, tails)
    kernel = (np.conj(some) / np.maximum(np.abs(some), 1e-300))[:, None] * linear
    kernel -= raw[::_SPARSE, None] * np.sign(total) * linear[0].real
    along, across = _ready(kernel.real), _ready(kernel.imag)
    scale = curve.variance / total**2
    error = np.sqrt(_between(variances(curve.doubtful, curve.data, along)[0]) * scale)
    noise = variances(curve.factor, curve.data, along)[1] + variances(curve.factor, curve.data, across)[1]
    # Noise adds to the power at every frequency; what it adds on average is taken off.
    return np.sqrt(np.maximum(raw**2 - _between(noise) * scale, 0.0)), error


def _baseline(coefficients: Floats, tails: int) -> Floats:
    """Return the straight line through the means of both tails, in their middles."""
    if tails == 0:
        return np.zeros_like(coefficients)
    share = (np.arange(len(coefficients)) - 0.5 * (tails - 1)) / (len(coefficients) - tails)
    first, last = coefficients[:tails].mean(), coefficients[-tails:].mean()
    return np.asarray(first + (last - first) * share)


def _onto_coefficients(linear: Complex, taper: Floats | None, tails: int) -> Complex:
    """Return what acts on tapered differences, or on what is left above a baseline, as acting on the coefficients."""
    if taper is not None:
        return np.asarray(-np.diff(linear * taper, axis=1, prepend=0, append=0), np.complex128)
    if tails == 0:
        return linear
    count = linear.shape[1]
    share = (np.arange(count) - 0.5 * (tails - 1)) / (count - tails)
    changed: Complex = linear.copy()
    last = (linear * share).sum(axis=1, keepdims=True)
    changed[:, :tails] -= (linear.sum(axis=1, keepdims=True) - last) / tails
    changed[:, -tails:] -= last / tails
    return changed


def _between(values: Floats) -> Floats:
    """Return at all frequencies what was computed at a few."""
    return np.interp(FREQUENCIES, FREQUENCIES[::_SPARSE], values)


@lru_cache(maxsize=64)
def _waves(count: int, order: int) -> Complex:
    """Return the transform of basis functions of an order, centred at multiples of the step, at a few frequencies."""
    some = FREQUENCIES[::_SPARSE]
    waves: Complex = np.exp(-2j * np.pi * STEP * np.outer(some, np.arange(count) - count // 2))
    waves *= np.sinc(some * STEP)[:, None] ** order
    waves.setflags(write=False)
    return waves


@compiled("(float64[::1], int64, float64[::1], complex128[::1])")
def _transform(parts: Floats, order: int, frequencies: Floats, out: Complex) -> None:
    """Fill the transform of basis functions times `parts`, centred around 0."""
    count = parts.size
    for i in range(frequencies.size):
        angle = 2.0 * np.pi * STEP * frequencies[i]
        turn_r, turn_i = np.cos(angle), -np.sin(angle)
        wave_r, wave_i = np.cos(angle * (count // 2)), np.sin(angle * (count // 2))
        total_r = total_i = 0.0
        for k in range(count):
            total_r += parts[k] * wave_r
            total_i += parts[k] * wave_i
            wave_r, wave_i = wave_r * turn_r - wave_i * turn_i, wave_r * turn_i + wave_i * turn_r
        half = 0.5 * angle
        shape = 1.0 if half == 0.0 else (np.sin(half) / half) ** order
        out[i] = complex(total_r * shape, total_i * shape)


def _ready(values: Floats) -> Floats:
    return np.require(values, np.float64, ("C", "W", "A"))
