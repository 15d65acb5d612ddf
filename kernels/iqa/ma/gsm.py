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
# Neighbours: nine around a coefficient, five of other orientations, a coarser one, and zeros to make groups of four.
_KINDS, _PARENT = 16, 14
_RUN, _SUMS = 512, 32


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
    parents = enlarge(pyramid.coarse[:-1], pyramid.fine.shape[1:], doubled=True)
    fine, fine_moments = _scale(pyramid.fine, parents, _GUARD)
    coarse, coarse_moments = _scale(pyramid.coarse, np.empty((0, 0, 0)), _GUARD // 2)
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


def _scale(bands: Floats, parents: Floats, guard: int) -> tuple[Floats, Floats]:
    """Return the normalised bands of one scale and their moments; the last bands may have no parents."""
    border = guard + 1
    inner = np.empty((ORIENTATIONS, bands.shape[1] - 2 * border, bands.shape[2] - 2 * border))
    moments = np.empty((ORIENTATIONS, 2))
    covariances = np.zeros((ORIENTATIONS, _KINDS, _KINDS))
    triangles = np.zeros((ORIENTATIONS, _KINDS, _KINDS))
    _covariances(bands, parents, covariances)
    _whiten(covariances, triangles)
    _divide(bands, parents, triangles, inner, moments)
    return inner, moments


@compiled("(float64[:, ::1], float64[::1], float64[::1])")
def _shapes(moments: Floats, table: Floats, found: Floats) -> None:
    for k in range(found.size):
        squares, absolutes, count = moments[k]
        found[k] = shape_of(squares / (count - 1.0), absolutes / count, table)


@inlined
def _offsets(rows: int, columns: int) -> NDArray[np.int64]:
    """Return, for each band, how far its neighbours are from it in an array of all bands: nine, then five."""
    offsets = np.empty((ORIENTATIONS, _PARENT), np.int64)
    for band in range(ORIENTATIONS):
        kind = 0
        for down in range(-1, 2):
            for along in range(-1, 2):
                offsets[band, kind] = (band * rows - down) * columns - along
                kind += 1
        for other in range(ORIENTATIONS):
            if other != band:
                offsets[band, kind] = other * rows * columns
                kind += 1
    return offsets


@compiled("(float64[:, :, ::1], float64[:, :, ::1], float64[:, :, ::1])")
def _covariances(bands: Floats, parents: Floats, covariances: Floats) -> None:
    """Fill in the mean products of all pairs of neighbours over each band; their means count as zero.

    A neighbour is a fixed distance away in memory. Runs therefore go on from row to row; what they see at both ends of a
    row, where neighbours belong to other rows, is taken off again.
    """
    rows, columns = bands.shape[1:]
    offsets = _offsets(rows, columns)
    every, above = bands.ravel(), parents.ravel()
    sums = np.zeros((ORIENTATIONS, _KINDS, _KINDS, _SUMS))
    first, last = columns + 1, (rows - 1) * columns - 1
    for start in range(first, last, _RUN):
        _accumulate(every, above, offsets, start, min(_RUN, last - start), sums)
    ends = np.empty((_KINDS, 2 * (rows - 3)))
    for band in range(ORIENTATIONS):
        _ends(every, above, offsets[band], band, columns, ends)
        for i in range(_KINDS):
            for j in range(i + 1):
                total = sums[band, i, j].sum() - dot(ends[i], ends[j])
                covariances[band, i, j] = covariances[band, j, i] = total / ((rows - 2) * (columns - 2))


@inlined
def _accumulate(every: Floats, above: Floats, offsets: NDArray[np.int64], start: int, size: int, sums: Floats) -> None:
    """Add the products of all pairs of neighbours in one run of each band."""
    pitch = every.size // ORIENTATIONS
    for band in range(ORIENTATIONS):
        for i in range(_PARENT):
            one = every[start + offsets[band, i] :][:size]
            for j in range(i + 1):
                _multiply(one, every[start + offsets[band, j] :][:size], sums[band, i, j])
        if band * pitch < above.size:
            one = above[start + band * pitch :][:size]
            for j in range(_PARENT):
                _multiply(one, every[start + offsets[band, j] :][:size], sums[band, _PARENT, j])
            _multiply(one, one, sums[band, _PARENT, _PARENT])


@inlined
def _ends(every: Floats, above: Floats, offsets: NDArray[np.int64], band: int, columns: int, ends: Floats) -> None:
    """Fill in the neighbours of the last coefficient of each row and of the first of the next, where runs go over both."""
    ends[:] = 0.0
    parent = band * (every.size // ORIENTATIONS)
    for end in range(ends.shape[1]):
        place = (end // 2 + 2) * columns - 1 + end % 2
        for kind in range(_PARENT):
            ends[kind, end] = every[place + offsets[kind]]
        if parent < above.size:
            ends[_PARENT, end] = above[place + parent]


@inlined
def _multiply(a: Floats, b: Floats, sums: Floats) -> None:
    """Add the products of two runs, in 32 interleaved sums that a compiler can keep in vectors."""
    if a.size < _RUN:
        for x in range(a.size):
            sums[x % _SUMS] += a[x] * b[x]
        return
    for x in range(_SUMS):
        p = a[x] * b[x] + a[x + 32] * b[x + 32] + a[x + 64] * b[x + 64] + a[x + 96] * b[x + 96]
        q = a[x + 128] * b[x + 128] + a[x + 160] * b[x + 160] + a[x + 192] * b[x + 192] + a[x + 224] * b[x + 224]
        r = a[x + 256] * b[x + 256] + a[x + 288] * b[x + 288] + a[x + 320] * b[x + 320] + a[x + 352] * b[x + 352]
        s = a[x + 384] * b[x + 384] + a[x + 416] * b[x + 416] + a[x + 448] * b[x + 448] + a[x + 480] * b[x + 480]
        sums[x] += (p + q) + (r + s)


@compiled("(float64[:, :, ::1], float64[:, :, ::1])")
def _whiten(covariances: Floats, triangles: Floats) -> None:
    """Fill in the upper triangles R, zero on entry, with R'R = pinv(C); the covariances are overwritten.

    Kinds of neighbours that a band does not have are zero in C, and therefore in R.
    """
    eigenvalues = np.empty(_KINDS)
    for band in range(ORIENTATIONS):
        covariance = covariances[band]
        vectors = np.eye(_KINDS)
        orthogonalise(covariance, vectors)
        # The rows of the covariance are now its eigenvectors, times the eigenvalues.
        positive = 0.0
        for k in range(_KINDS):
            eigenvalues[k] = dot(covariance[k], vectors[k])
            positive += max(eigenvalues[k], 0.0)
        # Rounding may leave negative ones; without them the trace stays what it was.
        gain = eigenvalues.sum() / positive if positive > 0.0 else 1.0
        smallest = _KINDS * np.spacing(gain * eigenvalues.max())
        for k in range(_KINDS):
            value = gain * eigenvalues[k]
            for i in range(_KINDS):
                vectors[k, i] = vectors[k, i] / np.sqrt(value) if value > smallest else 0.0
        fold(triangles[band], vectors.T.copy())


@compiled("(float64[:, :, ::1], float64[:, :, ::1], float64[:, :, ::1], float64[:, :, ::1], float64[:, ::1])")
def _divide(bands: Floats, parents: Floats, triangles: Floats, inner: Floats, moments: Floats) -> None:
    """Fill in the normalised bands and their moments."""
    rows, columns = bands.shape[1:]
    offsets = _offsets(rows, columns)
    every, above = bands.ravel(), parents.ravel()
    size = inner.shape[2]
    border = (columns - size) // 2
    means = np.empty(ORIENTATIONS)
    for band in range(ORIENTATIONS):
        means[band] = _mean(bands[band, 1:-1, 1:-1])
    nothing, turned, energy = np.zeros(size), np.empty(size), np.empty(size)
    for row in range(inner.shape[1]):
        start = (row + border) * columns + border
        for band in range(ORIENTATIONS):
            has_parent = band < parents.shape[0]
            parent = above[start + band * rows * columns :][:size] if has_parent else nothing
            _energy(every, offsets[band], start, parent, triangles[band], turned, energy)
            middle = bands[band, row + border, border:]
            normal = inner[band, row]
            divisor = 9.0 + has_parent
            for x in range(size):
                # Without any signal around there is nothing to divide by, nor to divide.
                local = energy[x] / divisor if energy[x] > 0.0 else np.inf
                normal[x] = (middle[x] - means[band]) / np.sqrt(local)
    for band in range(ORIENTATIONS):
        _centre(inner[band], moments[band])


@inlined
def _energy(
    every: Floats,
    offsets: NDArray[np.int64],
    start: int,
    parent: Floats,
    triangle: Floats,
    turned: Floats,
    energy: Floats,
) -> None:
    """Fill in the squared length of the triangle times the neighbours, for a run of coefficients."""
    size = energy.size
    energy[:] = 0.0
    for i in range(_KINDS - 1):
        p, q, r = triangle[i, _KINDS - 4], triangle[i, _KINDS - 3], triangle[i, _KINDS - 2]
        a, b = every[start + offsets[_KINDS - 4] :][:size], every[start + offsets[_KINDS - 3] :][:size]
        for x in range(size):
            turned[x] = p * a[x] + q * b[x] + r * parent[x]
        # What the triangle holds left of its diagonal is zero: whole groups of four are skipped.
        for j in range(i // 4 * 4, _KINDS - 4, 4):
            p, q, r, s = triangle[i, j], triangle[i, j + 1], triangle[i, j + 2], triangle[i, j + 3]
            a, b = every[start + offsets[j] :][:size], every[start + offsets[j + 1] :][:size]
            c, d = every[start + offsets[j + 2] :][:size], every[start + offsets[j + 3] :][:size]
            for x in range(size):
                turned[x] += p * a[x] + q * b[x] + r * c[x] + s * d[x]
        for x in range(size):
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
