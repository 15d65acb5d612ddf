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
# Pixels are worked on in chunks of rows and columns that fit into the nearest cache with all their neighbours: at most
# nine, the coarser one and five orientations, and zeros.
_ROWS, _LANES, _KINDS = 8, 64, 16
_CHUNK = _ROWS * _LANES


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
    shape = pyramid.fine.shape[1:]
    none = np.empty((0, 0))
    parents = [*(enlarge(band, shape, doubled=True) for band in pyramid.coarse[:-1]), none]
    fine, fine_moments = _scale(pyramid.fine, parents, _GUARD)
    coarse, coarse_moments = _scale(pyramid.coarse, [none] * ORIENTATIONS, _GUARD // 2)
    return Subbands(fine, coarse, np.concatenate([fine_moments, coarse_moments]))


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


def _scale(bands: Floats, parents: list[Floats], guard: int) -> tuple[Floats, Floats]:
    """Return the normalised bands of one scale and their moments; an empty parent stands for none."""
    border = guard + 1
    inner = np.empty((ORIENTATIONS, bands.shape[1] - 2 * border, bands.shape[2] - 2 * border))
    moments = np.empty((ORIENTATIONS, 2))
    for band, parent in enumerate(parents):
        size = _NEIGHBOURHOOD + (parent.size > 0) + ORIENTATIONS - 1
        covariance, triangle = np.empty((size, size)), np.zeros((_KINDS, _KINDS))
        _covariance(bands, band, parent, covariance)
        _whiten(covariance, triangle)
        _divide(bands, band, parent, triangle, inner[band], moments[band])
    return inner, moments


@compiled("(float64[:, ::1], float64[::1], float64[::1])")
def _shapes(moments: Floats, table: Floats, found: Floats) -> None:
    for k in range(found.size):
        squares, absolutes, count = moments[k]
        found[k] = shape_of(squares / (count - 1.0), absolutes / count, table)


@inlined
def _gather(
    bands: Floats, band: int, parent: Floats, start: tuple[int, int], size: tuple[int, int], values: Floats
) -> None:
    """Collect the neighbourhoods of a chunk of a band, kind by kind, each row in lanes of its own; the rest is zero."""
    (top, left), (rows, columns) = start, size
    if rows < _ROWS or columns < _LANES:
        values[:] = 0.0
    for y in range(rows):
        lanes = values[:, _LANES * y : _LANES * y + columns]
        kind = 0
        for down in range(-1, 2):
            for along in range(-1, 2):
                _copy(bands[band, top + y - down, left - along :], lanes[kind])
                kind += 1
        if parent.size > 0:
            _copy(parent[top + y, left:], lanes[kind])
            kind += 1
        for other in range(ORIENTATIONS):
            if other != band:
                _copy(bands[other, top + y, left:], lanes[kind])
                kind += 1


@inlined
def _copy(row: Floats, lanes: Floats) -> None:
    if lanes.size == _LANES:
        for x in range(_LANES):
            lanes[x] = row[x]
    else:
        for x in range(lanes.size):
            lanes[x] = row[x]


@compiled("(float64[:, :, ::1], int64, float64[:, ::1], float64[:, ::1])")
def _covariance(bands: Floats, band: int, parent: Floats, covariance: Floats) -> None:
    """Fill in the mean products of all pairs of neighbours over a band; their means count as zero."""
    rows, columns = bands.shape[1] - 2, bands.shape[2] - 2
    kinds = covariance.shape[0]
    values = np.zeros((_KINDS, _CHUNK))
    sums = np.zeros((kinds, kinds, _LANES))
    for top in range(0, rows, _ROWS):
        for left in range(0, columns, _LANES):
            size = min(_ROWS, rows - top), min(_LANES, columns - left)
            _gather(bands, band, parent, (top + 1, left + 1), size, values)
            for i in range(kinds):
                for j in range(i + 1):
                    _multiply(values[i], values[j], sums[i, j])
    for i in range(kinds):
        for j in range(i + 1):
            covariance[i, j] = covariance[j, i] = sums[i, j].sum() / (rows * columns)


@inlined
def _multiply(a: Floats, b: Floats, sums: Floats) -> None:
    """Add the products of two chunks, lane by lane."""
    for x in range(_LANES):
        near = a[x] * b[x] + a[x + 64] * b[x + 64] + a[x + 128] * b[x + 128] + a[x + 192] * b[x + 192]
        far = a[x + 256] * b[x + 256] + a[x + 320] * b[x + 320] + a[x + 384] * b[x + 384] + a[x + 448] * b[x + 448]
        sums[x] += near + far


@compiled("(float64[:, ::1], float64[:, ::1])")
def _whiten(covariance: Floats, triangle: Floats) -> None:
    """Fill in the upper triangle R with R'R = pinv(C), zero on entry and perhaps larger than C, which is overwritten."""
    size = covariance.shape[0]
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
    fold(triangle[:size, :size], vectors.T.copy())


@compiled("(float64[:, :, ::1], int64, float64[:, ::1], float64[:, ::1], float64[:, ::1], float64[::1])")
def _divide(bands: Floats, band: int, parent: Floats, triangle: Floats, inner: Floats, moments: Floats) -> None:
    """Fill in one normalised band and its moments."""
    mean = _mean(bands[band, 1:-1, 1:-1])
    divisor = _NEIGHBOURHOOD + (parent.size > 0)
    border = (bands.shape[2] - inner.shape[1]) // 2
    values, turned, energy = np.zeros((_KINDS, _CHUNK)), np.empty(_CHUNK), np.empty(_CHUNK)
    for top in range(0, inner.shape[0], _ROWS):
        for left in range(0, inner.shape[1], _LANES):
            rows, columns = min(_ROWS, inner.shape[0] - top), min(_LANES, inner.shape[1] - left)
            _gather(bands, band, parent, (top + border, left + border), (rows, columns), values)
            _energy(triangle, values, turned, energy)
            for y in range(rows):
                mixed = energy[_LANES * y :]
                middle = bands[band, top + y + border, left + border :]
                normal = inner[top + y, left : left + columns]
                for x in range(columns):
                    # Without any signal around there is nothing to divide by, nor to divide.
                    scale = np.sqrt(mixed[x] / divisor) if mixed[x] > 0.0 else np.inf
                    normal[x] = (middle[x] - mean) / scale
    _centre(inner, moments)


@inlined
def _energy(triangle: Floats, values: Floats, turned: Floats, energy: Floats) -> None:
    """Fill in the squared length of each column of triangle @ values."""
    energy[:] = 0.0
    for i in range(_KINDS):
        turned[:] = 0.0
        # What the triangle holds left of its diagonal is zero: whole groups of four are skipped.
        for j in range(i // 4 * 4, _KINDS, 4):
            p, q, r, s = triangle[i, j], triangle[i, j + 1], triangle[i, j + 2], triangle[i, j + 3]
            a, b, c, d = values[j], values[j + 1], values[j + 2], values[j + 3]
            for x in range(_CHUNK):
                turned[x] += p * a[x] + q * b[x] + r * c[x] + s * d[x]
        for x in range(_CHUNK):
            energy[x] += turned[x] * turned[x]


@inlined
def _mean(plane: Floats) -> float:
    """Return the mean, summed column by column so that a compiler can use vectors."""
    sums = np.zeros(plane.shape[1])
    for row in range(plane.shape[0]):
        for x in range(plane.shape[1]):
            sums[x] += plane[row, x]
    return float(sums.sum() / plane.size)


@inlined
def _centre(plane: Floats, moments: Floats) -> None:
    """Take the mean off a plane, and fill in the sums of its squares and absolute values."""
    mean = _mean(plane)
    squares, absolutes = np.zeros(plane.shape[1]), np.zeros(plane.shape[1])
    for row in range(plane.shape[0]):
        for x in range(plane.shape[1]):
            value = plane[row, x] - mean
            plane[row, x] = value
            squares[x] += value * value
            absolutes[x] += abs(value)
    moments[0], moments[1] = squares.sum(), absolutes.sum()
