"""From a profile to its modulation, and how well the pixels determine it."""

import math

import numpy as np
from numpy.typing import NDArray

from ..compilation import inlined
from .banded import factor, multiply
from .mixture import dot
from .oversample import STEP
from .spread import prior_of

__all__ = ["modulation_of", "standard_errors"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@inlined
def _transfer(frequency: float) -> float:
    """Return the spectrum of the derivative of a cubic B-spline, apart from the difference of its neighbours."""
    x = math.pi * frequency * STEP
    return (math.sin(x) / x) ** 3 if x > 1e-9 else 1.0


@inlined
def modulation_of(
    frequencies: Floats,
    widths: Floats,
    offsets: Floats,
    leans: Floats,
    amounts: Floats,
    shift: float,
    deviation: Floats,
    before: int,
) -> Floats:
    """Return the spectrum of a spread, shape (3, n): real part, imaginary part, modulation.

    Parameters
    ----------
    frequencies : ndarray, shape (n,), float64
        From 0 in equal steps [cycles/pixel].
    widths, offsets, leans, amounts : ndarray, shape (atoms,), float64
        The mixture, as in :class:`~photopeak.kernels.mtf.mixture.Ladder`.
    shift : float
        Of the mixture [knot].
    deviation : ndarray, shape (coefficients,), float64
        Spline of the deviation.
    before : int
        Knots before the edge.
    """
    n = frequencies.size
    spectrum = np.zeros((3, n))
    real, imaginary = spectrum[0], spectrum[1]
    pace = 2.0 * math.pi * frequencies[n - 1] / (n - 1)
    for j in range(widths.size):
        # A Gaussian at equal steps: the ratio of neighbours falls by the same factor every time.
        size, ratio = amounts[j], math.exp(-0.5 * (pace * widths[j]) ** 2)
        fall = ratio * ratio
        cosine, sine = math.cos(pace * offsets[j]), -math.sin(pace * offsets[j])
        a, b = 1.0, 0.0
        for i in range(n):
            real[i] += size * a
            imaginary[i] += leans[j] * size * b
            size *= ratio
            ratio *= fall
            a, b = a * cosine - b * sine, a * sine + b * cosine
    for i in range(n):
        turn = 2.0 * math.pi * frequencies[i] * STEP * shift
        real[i], imaginary[i] = real[i] - turn * imaginary[i], imaginary[i] + turn * real[i]
    if np.any(deviation != 0.0):
        _add_deviation(frequencies, deviation, before, real, imaginary)
    for i in range(n):
        spectrum[2, i] = math.hypot(real[i], imaginary[i]) / abs(real[0])
    return spectrum


@inlined
def _add_deviation(frequencies: Floats, deviation: Floats, before: int, real: Floats, imaginary: Floats) -> None:
    """Add the spectrum of the spline's derivative; phases turn from knot to knot, for all frequencies at once."""
    n = frequencies.size
    cosine, sine, turn_cosine, turn_sine = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    for i in range(n):
        turn = -2.0 * math.pi * frequencies[i] * STEP
        factor_ = _transfer(frequencies[i])
        cosine[i] = factor_ * math.cos(turn * (-0.5 - before))
        sine[i] = factor_ * math.sin(turn * (-0.5 - before))
        turn_cosine[i], turn_sine[i] = math.cos(turn), math.sin(turn)
    for k in range(deviation.size - 1):
        change = deviation[k + 1] - deviation[k]
        for i in range(n):
            a, b = cosine[i], sine[i]
            real[i] += change * a
            imaginary[i] += change * b
            cosine[i] = a * turn_cosine[i] - b * turn_sine[i]
            sine[i] = a * turn_sine[i] + b * turn_cosine[i]


@inlined
def standard_errors(
    frequencies: Floats,
    spectrum: Floats,
    widths: Floats,
    offsets: Floats,
    leans: Floats,
    rows: Floats,
    band: Floats,
    envelope: Floats,
    size: float,
    length: float,
    low: int,
    before: int,
) -> Floats:
    """Return the posterior standard deviation of the modulation at some frequencies.

    Parameters
    ----------
    frequencies : ndarray, shape (n,), float64
        [cycles/pixel].
    spectrum : ndarray, shape (3, n), float64
        As of :func:`modulation_of`.
    widths, offsets, leans : ndarray, shape (atoms,), float64
        The mixture.
    rows : ndarray, shape (atoms + 1, coefficients), float64
        Splines of the constant and of the steps.
    band : ndarray, shape (coefficients, 4), float64
        Matrix of least squares, in units of the noise.
    envelope : ndarray, shape (deviation,), float64
        Outline of the deviation.
    size, length : float
        The deviation's prior; size 0 for none.
    low : int
        The first coefficient of the deviation.
    before : int
        Knots before the edge.
    """
    atoms, coefficients = rows.shape
    n = frequencies.size
    columns = np.empty((atoms, coefficients))
    gram = np.empty((atoms, atoms))
    diagonals = np.ascontiguousarray(band.T)
    for i in range(atoms):
        multiply(diagonals, rows[i], columns[i])
    for i in range(atoms):
        for j in range(i + 1):
            gram[i, j] = gram[j, i] = dot(rows[i], columns[j])
    slopes = _slopes(frequencies, spectrum, widths, offsets, leans)
    variances = np.zeros(n)
    if size > 0.0:
        # All right sides at once: the frequencies, then the atoms.
        wide = envelope.size
        half = np.empty((wide, n + atoms))
        _gradients(frequencies, spectrum, low, coefficients, before, half)
        for i in range(atoms):
            for k in range(wide):
                half[k, n + i] = columns[i, low + k]
        joint, lower = np.empty((wide, 4)), np.empty((wide, 4))
        prior_of(envelope, length, joint)
        for k in range(wide):
            for m in range(min(k, 3) + 1):
                joint[k, m] = band[low + k, m] + joint[k, m] / (size * size)
        factor(joint, lower)
        for k in range(wide):
            for m in range(1, min(k, 3) + 1):
                for i in range(n + atoms):
                    half[k, i] -= lower[k, m] * half[k - m, i]
            for i in range(n):
                variances[i] += lower[k, 0] * half[k, i] ** 2
            for j in range(atoms):
                scaled = lower[k, 0] * half[k, n + j]
                for i in range(n):
                    slopes[j, i] -= scaled * half[k, i]
                for i in range(atoms):
                    gram[j, i] -= scaled * half[k, n + i]
    _add_mixture(gram, slopes, variances)
    return np.sqrt(variances)


@inlined
def _slopes(frequencies: Floats, spectrum: Floats, widths: Floats, offsets: Floats, leans: Floats) -> Floats:
    """Return how the modulation changes with the constant (not at all) and with each weight."""
    n = frequencies.size
    slopes = np.zeros((widths.size + 1, n))
    base = spectrum[0, 0]
    for i in range(n):
        modulation = spectrum[2, i]
        scale = 1.0 / (max(modulation, 1e-12) * base)
        turn = 2.0 * math.pi * frequencies[i]
        for j in range(widths.size):
            size = math.exp(-0.5 * (turn * widths[j]) ** 2)
            real, imaginary = size * math.cos(turn * offsets[j]), -leans[j] * size * math.sin(turn * offsets[j])
            along = (real * spectrum[0, i] + imaginary * spectrum[1, i]) * scale
            slopes[j + 1, i] = (along - modulation) / base
    return slopes


@inlined
def _gradients(frequencies: Floats, spectrum: Floats, low: int, coefficients: int, before: int, right: Floats) -> None:
    """Fill how the modulation changes with each coefficient of the deviation, from `low`."""
    base = spectrum[0, 0]
    wide = right.shape[0]
    for i in range(frequencies.size):
        modulation = spectrum[2, i]
        scale = _transfer(frequencies[i]) / (max(modulation, 1e-12) * base * base)
        turn = -2.0 * math.pi * frequencies[i] * STEP
        a, b = math.cos(turn * (low - 1.5 - before)), math.sin(turn * (low - 1.5 - before))
        c, s = math.cos(turn), math.sin(turn)
        previous = scale * (a * spectrum[0, i] + b * spectrum[1, i]) if low > 0 else 0.0
        for k in range(wide):
            a, b = a * c - b * s, a * s + b * c
            along = scale * (a * spectrum[0, i] + b * spectrum[1, i])
            if low + k == coefficients - 1:
                along = 0.0
            right[k, i] = previous - along
            previous = along
        # The modulation is relative to the whole step, which the first and the last of all coefficients are the ends of.
        if low == 0:
            right[0, i] += modulation / base
        if low + wide == coefficients:
            right[wide - 1, i] -= modulation / base


@inlined
def _add_mixture(gram: Floats, slopes: Floats, variances: Floats) -> None:
    """Add to the variances what the weights, after all else, leave open."""
    atoms, n = slopes.shape
    lower = np.zeros((atoms, atoms))
    for j in range(atoms):
        for i in range(j + 1):
            value = gram[j, i]
            for k in range(i):
                value -= lower[j, k] * lower[i, k]
            if i < j:
                lower[j, i] = value * lower[i, i]
            elif value > 1e-12 * gram[j, j]:
                # The inverse, so that a weight which nothing determines apart from the others adds nothing.
                lower[j, j] = 1.0 / math.sqrt(value)
    for j in range(atoms):
        for i in range(n):
            value = slopes[j, i]
            for k in range(j):
                value -= lower[j, k] * slopes[k, i]
            slopes[j, i] = value * lower[j, j]
            variances[i] += slopes[j, i] ** 2
