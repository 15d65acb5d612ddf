"""The Hankel transform of pixels around a centre."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..compilation import compiled, inlined

__all__ = ["bessel_j0", "hankel"]

Floats = NDArray[np.float64]

_FINE = 32  # points per pixel of the table
_POINTS = 6  # that a value between them is taken from; the error is below 1e-8


def hankel(radius: Floats, value: Floats, frequencies: Floats, power: int = 1) -> Floats:
    """Return the sums of values times a power of ``J0(2 pi f r)``.

    Parameters
    ----------
    radius, value : ndarray, shape (n,), float64
        Distances from the centre [pixels] and values there.
    frequencies : ndarray, shape (m,), float64
        Frequencies f [cycles/pixel], at most 0.5.
    power : int
        1 for a transform; 2 for the variance of one, where the values are variances.

    Returns
    -------
    ndarray, shape (m,), float64
    """
    count = 64 * int(np.ceil((radius.max() + 1) / 64 * _FINE)) + _POINTS
    spread = np.zeros(count)
    _spread(np.ascontiguousarray(radius), np.ascontiguousarray(value), spread)
    return np.asarray(np.einsum("mk,k->m", _table(count, tuple(frequencies.tolist()), power), spread))


@lru_cache(maxsize=16)
def _table(count: int, frequencies: tuple[float, ...], power: int) -> Floats:
    """Return J0 for each frequency at all points; the table starts two points before 0, where J0 is even."""
    at = np.abs(np.arange(count) - _POINTS // 2 + 1) / _FINE
    table = bessel_j0(2 * np.pi * np.outer(np.array(frequencies), at)) ** power
    table.setflags(write=False)
    return table


def bessel_j0(argument: Floats) -> Floats:
    """Return the Bessel function of the first kind and order 0, for arguments of at least 0.

    Examples
    --------
    >>> bessel_j0(np.array([0.0, 2.404825557695773])).round(12)
    array([ 1., -0.])
    """
    values = np.array(argument, np.float64, order="C")
    _fill_j0(values.reshape(-1))
    return values


@inlined
def _j0(z: float) -> float:
    """Return J0: its integral by the trapezoidal rule, which is exact for few points, or its asymptotic series."""
    if z < 25.0:
        total = 0.0
        for k in range(24):
            total += np.cos(z * np.cos((k + 0.5) * (np.pi / 48.0)))
        return total / 24.0
    p, q, term = 0.0, 0.0, 1.0
    for k in range(12):
        even = k % 2 == 0
        sign = 1.0 if k % 4 < 2 else -1.0
        if even:
            p += sign * term
        else:
            q -= sign * term
        term *= (2.0 * k + 1.0) ** 2 / (8.0 * (k + 1.0) * z)
    angle = z - 0.25 * np.pi
    return float(np.sqrt(2.0 / (np.pi * z)) * (p * np.cos(angle) - q * np.sin(angle)))


@compiled("(float64[::1],)")
def _fill_j0(values: Floats) -> None:
    """Replace values by J0 of them."""
    for i in range(values.size):
        values[i] = _j0(values[i])


@compiled("(float64[::1], float64[::1], float64[::1])")
def _spread(radius: Floats, value: Floats, spread: Floats) -> None:
    """Share each value among the six points around it as Lagrange's polynomial does."""
    for i in range(radius.size):
        position = radius[i] * _FINE
        first = int(np.floor(position))
        t = position - first + 2.0
        for m in range(_POINTS):
            weight = value[i]
            for n in range(_POINTS):
                if n != m:
                    weight *= (t - n) / (m - n)
            spread[first + m] += weight
