"""Half the size by a small Gaussian, and larger by bicubic interpolation, as MATLAB's image toolbox does it."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...compilation import compiled

__all__ = ["enlarge", "halve"]

Floats = NDArray[np.float64]

_SIGMA = 0.5


class _Taps(NamedTuple):
    """Which samples, and how much of each, make up every sample of a longer axis."""

    places: NDArray[np.int64]
    weights: Floats


def halve(plane: Floats) -> Floats:
    """Return every second row and column, from the second one on, of a plane smoothed by a 3x3 Gaussian (sigma 0.5).

    Beyond the border is zero.

    Parameters
    ----------
    plane : ndarray, shape (rows, columns), float64
        Grey values.

    Returns
    -------
    ndarray, shape (rows // 2, columns // 2), float64
    """
    side = np.exp(-0.5 / _SIGMA**2)
    weights = np.array([side, 1.0, side]) / (1.0 + 2.0 * side)
    half = np.empty((plane.shape[0] // 2, plane.shape[1] // 2))
    _halve(np.pad(plane, ((0, 1), (0, 1))), weights, half)
    return half


def enlarge(planes: Floats, shape: tuple[int, int], *, doubled: bool = False) -> Floats:
    """Return planes with more samples, by bicubic interpolation (a = -1/2) with mirrored borders.

    Parameters
    ----------
    planes : ndarray, shape (n, rows, columns), float64
        Samples.
    shape : tuple of int
        Rows and columns wanted, not fewer than there are.
    doubled : bool
        Place samples as if both sizes doubled, and cut at `shape`; otherwise stretch the planes to `shape`.

    Returns
    -------
    ndarray, shape (n, *shape), float64
    """
    taps = [_taps(old, new, 2.0 if doubled else new / old) for old, new in zip(planes.shape[1:], shape, strict=True)]
    large = np.empty((len(planes), *shape))
    for plane, enlarged in zip(planes, large, strict=True):
        _enlarge(plane, *taps[0], *taps[1], enlarged)
    return large


@lru_cache(maxsize=16)
def _taps(old: int, new: int, scale: float) -> _Taps:
    at = np.arange(1, new + 1) / scale + 0.5 * (1.0 - 1.0 / scale)
    first = np.floor(at).astype(np.int64) - 1
    places = first[:, None] + np.arange(4)
    weights = _cubic(np.abs(at[:, None] - places))
    mirrored = (places - 1) % (2 * old)
    return _Taps(np.minimum(mirrored, 2 * old - 1 - mirrored), weights / weights.sum(1, keepdims=True))


def _cubic(distance: Floats) -> Floats:
    near = (1.5 * distance - 2.5) * distance**2 + 1.0
    far = ((-0.5 * distance + 2.5) * distance - 4.0) * distance + 2.0
    return np.where(distance <= 1.0, near, np.where(distance <= 2.0, far, 0.0))


@compiled("(float64[:, ::1], float64[::1], float64[:, ::1])")
def _halve(plane: Floats, weights: Floats, half: Floats) -> None:
    """Fill `half`; `plane` has a row and a column of zeros at its end."""
    side, middle = weights[0], weights[1]
    row = np.empty(plane.shape[1])
    for i in range(half.shape[0]):
        for x in range(row.size):
            row[x] = side * (plane[2 * i, x] + plane[2 * i + 2, x]) + middle * plane[2 * i + 1, x]
        for j in range(half.shape[1]):
            half[i, j] = side * (row[2 * j] + row[2 * j + 2]) + middle * row[2 * j + 1]


@compiled("(float64[:, ::1], int64[:, ::1], float64[:, ::1], int64[:, ::1], float64[:, ::1], float64[:, ::1])")
def _enlarge(
    plane: Floats,
    rows: NDArray[np.int64],
    row_weights: Floats,
    columns: NDArray[np.int64],
    column_weights: Floats,
    large: Floats,
) -> None:
    wide = np.empty((plane.shape[0], large.shape[1]))
    for i in range(plane.shape[0]):
        for x in range(large.shape[1]):
            total = 0.0
            for k in range(4):
                total += column_weights[x, k] * plane[i, columns[x, k]]
            wide[i, x] = total
    for y in range(large.shape[0]):
        a, b, c, d = wide[rows[y, 0]], wide[rows[y, 1]], wide[rows[y, 2]], wide[rows[y, 3]]
        p, q, r, s = row_weights[y]
        for x in range(large.shape[1]):
            large[y, x] = p * a[x] + q * b[x] + r * c[x] + s * d[x]
