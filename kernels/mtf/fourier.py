"""The Fourier transform of a smooth curve, with an uncertainty."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..compilation import compiled, inlined
from .smoothing import Curve
from .splines import STEP, noise_variance, prior_variance

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
    unsure = np.empty((2, FREQUENCIES[::_SPARSE].size))
    factors = np.empty(0) if taper is None else _ready(taper)
    _uncertainty(transform, _waves(len(parts), order), factors, tails, curve.doubtful, curve.factor, curve.data, unsure)
    scale = curve.variance / total**2
    error = np.sqrt(_between(unsure[0]) * scale)
    # Noise adds to the power at every frequency; what it adds on average is taken off.
    return np.sqrt(np.maximum(raw**2 - _between(unsure[1]) * scale, 0.0)), error


def _baseline(coefficients: Floats, tails: int) -> Floats:
    """Return the straight line through the means of both tails, in their middles."""
    if tails == 0:
        return np.zeros_like(coefficients)
    share = (np.arange(len(coefficients)) - 0.5 * (tails - 1)) / (len(coefficients) - tails)
    first, last = coefficients[:tails].mean(), coefficients[-tails:].mean()
    return np.asarray(first + (last - first) * share)


@compiled(
    "(complex128[::1], Array(complex128, 2, 'C', readonly=True), float64[::1], int64, float64[:, ::1], float64[:, ::1],"
    " float64[:, ::1], float64[:, ::1])"
)
def _uncertainty(
    transform: Complex, waves: Complex, taper: Floats, tails: int, doubtful: Floats, factor: Floats, data: Floats,
    out: Floats,
) -> None:  # fmt: skip
    """Fill, at a few frequencies, the variances of the modulation with the prior, and of the transform from noise alone."""
    count, total = data.shape[0], transform[0].real
    sign, line, first = np.sign(total), np.empty(count, np.complex128), np.empty(count)
    along, across, again = np.empty(count), np.empty(count), np.empty(count)
    for index in range(waves.shape[0]):
        _onto_coefficients(waves[index], taper, tails, line)
        if index == 0:
            first[:] = line.real
        here = transform[index * _SPARSE]
        size = abs(here)
        turn, share = np.conj(here) / max(size, 1e-300), size / abs(total) * sign
        # What changes along the transform lengthens it; what changes across it turns it.
        for k in range(count):
            change = turn * line[k]
            along[k], across[k] = change.real - share * first[k], change.imag
        again[:] = along
        out[0, index] = prior_variance(doubtful, again)
        out[1, index] = noise_variance(factor, data, along) + noise_variance(factor, data, across)


@inlined
def _onto_coefficients(wave: Complex, taper: Floats, tails: int, line: Complex) -> None:
    """Fill what acts on tapered differences, or on what is left above a baseline, as acting on the coefficients."""
    count = line.size
    if taper.size:
        before = 0j
        for k in range(count - 1):
            here = wave[k] * taper[k]
            line[k] = before - here
            before = here
        line[count - 1] = before
        return
    last = whole = 0j
    for k in range(count):
        line[k] = wave[k]
        if tails:
            whole += wave[k]
            last += wave[k] * ((k - 0.5 * (tails - 1)) / (count - tails))
    for k in range(tails):
        line[k] -= (whole - last) / tails
        line[count - 1 - k] -= last / tails


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
