"""Subbands divided by what a Gaussian scale mixture expects of their neighbourhoods, and statistics of the result."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...compilation import compiled, inlined
from .linear import dot, fold, orthogonalise
from .resampling import enlarge
from .shape import ratios, shape_of
from .steerable import ORIENTATIONS, Pyramid

__all__ = ["Subbands", "normalise", "shapes"]

Floats = NDArray[np.float64]

# Pixels that are left out at the borders of the fine scale, beside the one that has no neighbours; half at the coarse.
_GUARD = 16
_NEIGHBOURHOOD = 9


class Subbands(NamedTuple):
    """Normalised subbands of zero mean.

    Parameters
    ----------
    fine : ndarray, shape (6, rows, columns), float64
        The first scale, without the borders.
    coarse : ndarray, shape (6, rows, columns), float64
        The second scale.
    moments : ndarray, shape (12, 2), float64
        Sum of squares and sum of absolute values of each, fine ones first.
    """

    fine: Floats
    coarse: Floats
    moments: Floats


def normalise(pyramid: Pyramid) -> Subbands:
    """Return the oriented bands of a pyramid, each divided by the local scale of its neighbourhood.

    The neighbourhood of a coefficient x consists of the 3x3 around it, of the coefficient of the coarser scale at its
    place and of those of the other orientations there. Over all of a band it has a covariance C; the local scale is the
    root of y' inv(C) y / N for its values y, where N leaves out the other orientations. The published definition gives no
    coarser coefficient to the last orientation, nor to the second scale.
    """
    moments = np.empty((2 * ORIENTATIONS, 2))
    shape = pyramid.fine.shape[1:]
    parents = [enlarge(band, shape, doubled=True) for band in pyramid.coarse[:-1]]
    scales = []
    for first, bands, guard in ((0, pyramid.fine, _GUARD), (ORIENTATIONS, pyramid.coarse, _GUARD // 2)):
        border = guard + 1
        inner = np.empty((ORIENTATIONS, bands.shape[1] - 2 * border, bands.shape[2] - 2 * border))
        for band in range(ORIENTATIONS):
            parent = parents[band] if not first and band < len(parents) else np.empty((0, 0))
            _normalise(bands, band, parent, inner[band], moments[first + band])
        scales.append(inner)
    return Subbands(scales[0], scales[1], moments)


def shapes(subbands: Subbands) -> Floats:
    """Return the shapes of the generalised Gaussians of all subbands, then of the pairs of an orientation's two scales.

    Returns
    -------
    ndarray, shape (18,), float64
    """
    counts = np.repeat([subbands.fine[0].size, subbands.coarse[0].size], ORIENTATIONS)
    moments = np.column_stack([subbands.moments, counts])
    # Both scales have zero mean, so that their sums add up.
    pairs = moments[:ORIENTATIONS] + moments[ORIENTATIONS:]
    found = np.empty(len(moments) + len(pairs))
    _shapes(np.concatenate([moments, pairs]), ratios(), found)
    return found


@compiled("(float64[:, ::1], float64[::1], float64[::1])")
def _shapes(moments: Floats, table: Floats, found: Floats) -> None:
    for k in range(found.size):
        squares, absolutes, count = moments[k]
        found[k] = shape_of(squares / (count - 1.0), absolutes / count, table)


@compiled("(float64[:, :, ::1], int64, float64[:, ::1], float64[:, ::1], float64[::1])")
def _normalise(bands: Floats, band: int, parent: Floats, inner: Floats, moments: Floats) -> None:
    """Fill in one normalised band and its moments; an empty `parent` stands for none."""
    rows, columns = bands.shape[1:]
    divisor = _NEIGHBOURHOOD + (parent.size > 0)
    size = divisor + ORIENTATIONS - 1
    values = np.empty((size, columns - 2))
    covariance = np.zeros((size, size))
    mean = 0.0
    for row in range(1, rows - 1):
        _gather(bands, band, parent, row, 1, values)
        for i in range(size):
            for j in range(i + 1):
                covariance[i, j] += dot(values[i], values[j])
        for x in range(1, columns - 1):
            mean += bands[band, row, x]
    mean /= (rows - 2) * (columns - 2)
    triangle = _whitening(covariance, (rows - 2) * (columns - 2))
    border = (columns - inner.shape[1]) // 2
    part = np.empty((size, inner.shape[1]))
    energy, turned = np.empty(inner.shape[1]), np.empty(inner.shape[1])
    total = 0.0
    for row in range(inner.shape[0]):
        _gather(bands, band, parent, row + border, border, part)
        _energy(triangle, part, energy, turned)
        for x in range(inner.shape[1]):
            centred = bands[band, row + border, x + border] - mean
            scale = np.sqrt(energy[x] / divisor)
            # Without any signal around there is nothing to divide by, nor to divide.
            inner[row, x] = centred / scale if scale > 0.0 else 0.0
            total += inner[row, x]
    _centre(inner, total / inner.size, moments)


@inlined
def _gather(bands: Floats, band: int, parent: Floats, row: int, start: int, values: Floats) -> None:
    """Collect the neighbourhoods of a row's coefficients from column `start` on; kind by kind, coefficient by coefficient."""
    count = values.shape[1]
    kind = 0
    for down in range(-1, 2):
        for along in range(-1, 2):
            for x in range(count):
                values[kind, x] = bands[band, row - down, start - along + x]
            kind += 1
    if parent.size > 0:
        for x in range(count):
            values[kind, x] = parent[row, start + x]
        kind += 1
    for other in range(bands.shape[0]):
        if other != band:
            for x in range(count):
                values[kind, x] = bands[other, row, start + x]
            kind += 1


@inlined
def _whitening(covariance: Floats, count: int) -> Floats:
    """Return the upper triangle R with R'R = pinv(C), from the lower triangle of the sums of products."""
    size = covariance.shape[0]
    for i in range(size):
        for j in range(i + 1):
            covariance[i, j] /= count
            covariance[j, i] = covariance[i, j]
    vectors = np.eye(size)
    orthogonalise(covariance, vectors)
    # The rows of the covariance are now its eigenvectors, times the eigenvalues.
    eigenvalues = np.empty(size)
    positive = 0.0
    for k in range(size):
        eigenvalues[k] = dot(covariance[k], vectors[k])
        positive += max(eigenvalues[k], 0.0)
    # Rounding may leave negative ones; without them the trace stays what it was.
    gain = eigenvalues.sum() / positive if positive > 0.0 else 1.0
    smallest = size * np.spacing(gain * eigenvalues.max())
    for k in range(size):
        value = gain * eigenvalues[k]
        for i in range(size):
            vectors[k, i] = vectors[k, i] / np.sqrt(value) if value > smallest else 0.0
    triangle = np.zeros((size, size))
    fold(triangle, vectors.T.copy())
    return triangle


@inlined
def _energy(triangle: Floats, values: Floats, energy: Floats, turned: Floats) -> None:
    """Fill in the squared length of each column of triangle @ values."""
    size = triangle.shape[0]
    energy[:] = 0.0
    for i in range(size):
        for x in range(energy.size):
            turned[x] = triangle[i, i] * values[i, x]
        for j in range(i + 1, size):
            for x in range(energy.size):
                turned[x] += triangle[i, j] * values[j, x]
        for x in range(energy.size):
            energy[x] += turned[x] * turned[x]


@inlined
def _centre(plane: Floats, mean: float, moments: Floats) -> None:
    """Take the mean off a plane, and fill in the sums of its squares and absolute values."""
    squares, absolutes = 0.0, 0.0
    for row in range(plane.shape[0]):
        absolute = 0.0
        for x in range(plane.shape[1]):
            plane[row, x] -= mean
            absolute += abs(plane[row, x])
        squares += dot(plane[row], plane[row])
        absolutes += absolute
    moments[0], moments[1] = squares, absolutes
