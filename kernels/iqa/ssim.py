"""Structural similarity of a frame to its reference, at one scale and at five."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .comparison import Comparison, Pairs, compare, unified
from .frames import Outcome
from .score import Reason
from .similarity import REACH, halved, summed_similarity

__all__ = ["ms_ssim", "ssim"]

Floats = NDArray[np.float64]

_K1, _K2 = 0.01, 0.03
_EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, finest first
_NO_WEIGHTS, _NO_MAPS = np.empty((0, 0, 0)), np.empty((0, 2, 0, 0))


def ssim(
    frames: NDArray[Any],
    reference: NDArray[Any],
    *,
    data_range: float | None = None,
    mask: NDArray[Any] | None = None,
    maps: bool = False,
    threads: int = 1,
) -> Comparison:
    """Return the structural similarity of each frame to its reference; 1 if they are equal.

    Means, variances and covariance are those under a Gaussian window of 11 x 11 pixels and sigma 1.5 (divided by the
    sum of the weights, not by one less), with K1 = 0.01 and K2 = 0.03. The result is the mean over the pixels whose
    window lies in the image: the outer five rows and columns are left out.

    Parameters
    ----------
    frames, reference : ndarray, shape (rows, columns) or (n, rows, columns)
        Integers or floats; one image may be the reference of a whole stack.
    data_range : float, optional
        Greatest minus least value that pixels could have; by default 255 if the reference holds uint8, otherwise the
        greatest minus the least value that counts in the reference of each frame.
    mask : ndarray, shape (rows, columns) or (n, rows, columns), optional
        True (or not 0) where pixels count; their windows reach beyond the mask.
    maps : bool
        Whether to return the similarity at each pixel, in the shape of the frame. At the outer pixels, which the
        result leaves out, it is that of the image mirrored at its border.
    threads : int
        Most frames to work on side by side.

    Returns
    -------
    Comparison
        NaN for the reason ``too-small`` under 11 pixels in one direction, ``mask-too-small`` if no pixel is left,
        ``constant`` where the data range was not given and the reference has none, and ``not-finite`` where pixels, or
        the squares that variances are made of, are no finite numbers.

    Raises
    ------
    InputError
        If the arrays are not images, or their shapes do not fit.
    UsageError
        If the data range is not a positive number.

    References
    ----------
    * Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli: Image quality assessment: from error visibility to
      structural similarity, IEEE Transactions on Image Processing 13, 2004.

    Examples
    --------
    >>> reference = np.add.outer(np.arange(32), np.arange(32)).astype(np.uint8)
    >>> float(ssim(reference, reference)), round(float(ssim(reference // 2, reference)), 4)
    (1.0, 0.7783)
    """

    def kernel(pairs: Pairs) -> list[Outcome]:
        problems = _problems(pairs, 1)
        if all(problems):
            return [Outcome(reason=problem) for problem in problems]
        planes = unified(pairs)
        values = [both for both, _ in _means(planes)]
        return _outcomes(values, problems, [found[0] for found in _maps(planes)] if maps else None)

    named = "ssim", "wang-2004"
    return compare(frames, reference, kernel, named, data_range=data_range, mask=mask, maps=maps, threads=threads)


def ms_ssim(
    frames: NDArray[Any],
    reference: NDArray[Any],
    *,
    data_range: float | None = None,
    mask: NDArray[Any] | None = None,
    maps: bool = False,
    threads: int = 1,
) -> Comparison:
    """Return the multi-scale structural similarity of each frame to its reference; 1 if they are equal.

    The image is halved four times, each pixel being the mean of four (a last row or column without partner counts
    twice). The result is the product of the means of contrast and structure at the first four scales and of the
    similarity at the last, each to the power that was found to agree with human observers. A mean below 0, as between
    an image and its negative, counts as 0: such a power would not be a real number.

    Parameters
    ----------
    frames, reference : ndarray, shape (rows, columns) or (n, rows, columns)
        Integers or floats; one image may be the reference of a whole stack.
    data_range : float, optional
        As :func:`ssim` takes it.
    mask : ndarray, shape (rows, columns) or (n, rows, columns), optional
        True (or not 0) where pixels count. A pixel of a coarser scale counts if all that it is made of do.
    maps : bool
        Whether to return, for each frame, a tuple of five arrays: contrast and structure at each pixel of the first
        four scales, and the similarity at the last.
    threads : int
        Most frames to work on side by side.

    Returns
    -------
    Comparison
        NaN for the reason ``too-small`` under 161 pixels in one direction (11 at the last scale), ``mask-too-small`` if
        no pixel is left at one scale, ``constant`` where the data range was not given and the reference has none, and
        ``not-finite`` as for :func:`ssim`.

    Raises
    ------
    InputError
        If the arrays are not images, or their shapes do not fit.
    UsageError
        If the data range is not a positive number.

    References
    ----------
    * Z. Wang, E. P. Simoncelli, A. C. Bovik: Multi-scale structural similarity for image quality assessment, Asilomar
      Conference on Signals, Systems and Computers, 2003.

    Examples
    --------
    >>> reference = np.add.outer(np.arange(192), np.arange(192)) / 2
    >>> float(ms_ssim(reference, reference)), round(float(ms_ssim(reference / 2, reference)), 4)
    (1.0, 0.8795)
    """

    def kernel(pairs: Pairs) -> list[Outcome]:
        problems = _problems(pairs, 2 ** (len(_EXPONENTS) - 1))
        if all(problems):
            return [Outcome(reason=problem) for problem in problems]
        return _multiscale(unified(pairs), problems, maps)

    named = "ms_ssim", "wang-2003"
    return compare(frames, reference, kernel, named, data_range=data_range, mask=mask, maps=maps, threads=threads)


def _multiscale(pairs: Pairs, problems: list[Reason | None], maps: bool) -> list[Outcome]:
    values = [1.0] * len(problems)
    found: list[list[Floats]] = []
    for scale, exponent in enumerate(_EXPONENTS):
        if scale:
            pairs = _half(pairs)
        which = 0 if scale == len(_EXPONENTS) - 1 else 1
        problems = [earlier or here for earlier, here in zip(problems, _problems(pairs, 1), strict=True)]
        values = [
            value * max(means[which], 0.0) ** exponent for value, means in zip(values, _means(pairs), strict=True)
        ]
        if maps:
            found.append([both[which] for both in _maps(pairs)])
    return _outcomes(values, problems, list(zip(*found, strict=True)) if maps else None)


def _outcomes(values: Sequence[float], problems: Sequence[Reason | None], maps: Sequence[Any] | None) -> list[Outcome]:
    """Return the value and map of each pair, or its problem."""
    return [
        Outcome(reason=problem) if problem else Outcome(value, details={} if maps is None else {"map": maps[index]})
        for index, (value, problem) in enumerate(zip(values, problems, strict=True))
    ]


def _problems(pairs: Pairs, shrunk: int) -> list[Reason | None]:
    """Return why pairs have no similarity once they are `shrunk` so many times; None for those that have one."""
    if -(-min(pairs.frames.shape[1:]) // shrunk) < 2 * REACH + 1:
        return ["too-small"] * len(pairs.ranges)
    return [
        "constant" if not data_range > 0 else "mask-too-small" if not count else None
        for data_range, count in zip(pairs.ranges, _counts(pairs), strict=True)
    ]


def _counts(pairs: Pairs) -> list[int]:
    """Return how many pixels of each pair the result is the mean of."""
    inner = slice(REACH, -REACH)
    if pairs.masks is None:
        count, rows, columns = pairs.frames.shape
        return [(rows - 2 * REACH) * (columns - 2 * REACH)] * count
    return [int(np.count_nonzero(mask[inner, inner])) for mask in pairs.masks]


def _means(pairs: Pairs) -> list[tuple[float, float]]:
    """Return for each pair the mean similarity, and that of contrast and structure alone; 0 where nothing counts."""
    weights = _NO_WEIGHTS if pairs.masks is None else pairs.masks.astype(np.float64)
    sums = np.empty((len(pairs.frames), 2))
    summed_similarity(*_planes(pairs), weights, REACH, _NO_MAPS, sums)
    return [
        (both / max(count, 1), structure / max(count, 1))
        for (both, structure), count in zip(sums.tolist(), _counts(pairs), strict=True)
    ]


def _maps(pairs: Pairs) -> Floats:
    """Return for each pair the similarity at each pixel, and that of contrast and structure alone."""
    count, *shape = pairs.frames.shape
    maps = np.empty((count, 2, *shape))
    summed_similarity(*_planes(pairs), _NO_WEIGHTS, 0, maps, np.empty((count, 2)))
    return maps


def _planes(pairs: Pairs) -> tuple[NDArray[Any], NDArray[Any], Floats]:
    constants = [(_K1 * data_range, _K2 * data_range) for data_range in pairs.ranges]
    return pairs.frames, pairs.references, np.array([(c1 * c1, c2 * c2) for c1, c2 in constants])


def _half(pairs: Pairs) -> Pairs:
    """Return pairs of half the size."""
    frames, references = halved(pairs.frames), halved(pairs.references)
    if pairs.masks is None:
        return pairs._replace(frames=frames, references=references)
    count, *sides = pairs.masks.shape
    masks = np.pad(pairs.masks, [(0, 0), *((0, side % 2) for side in sides)], mode="edge")
    whole = masks.reshape(count, frames.shape[1], 2, frames.shape[2], 2).all(axis=(2, 4))
    return pairs._replace(frames=frames, references=references, masks=np.asarray(whole))
