"""Structural similarity of a frame to its reference, at one scale and at five."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .comparison import Comparison, Pair, compare, unified
from .frames import Outcome
from .similarity import REACH, halved, summed_similarity

__all__ = ["ms_ssim", "ssim"]

Floats = NDArray[np.float64]

_K1, _K2 = 0.01, 0.03
_EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, finest first


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

    def kernel(pair: Pair) -> Outcome:
        if problem := _unfit(pair, 1):
            return problem
        planes = unified(pair)
        return Outcome(_means(planes)[0], details={"map": _map(planes)[0]} if maps else {})

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

    def kernel(pair: Pair) -> Outcome:
        if problem := _unfit(pair, 2 ** (len(_EXPONENTS) - 1)):
            return problem
        return _multiscale(unified(pair), maps)

    named = "ms_ssim", "wang-2003"
    return compare(frames, reference, kernel, named, data_range=data_range, mask=mask, maps=maps, threads=threads)


def _multiscale(pair: Pair, maps: bool) -> Outcome:
    value = 1.0
    found = []
    for scale, exponent in enumerate(_EXPONENTS):
        if scale:
            pair = _half(pair)
        coarsest = scale == len(_EXPONENTS) - 1
        if _unfit(pair, 1):
            return Outcome(reason="mask-too-small")
        value *= max(_means(pair)[0 if coarsest else 1], 0.0) ** exponent
        if maps:
            found.append(_map(pair)[0 if coarsest else 1])
    return Outcome(value, details={"map": tuple(found)} if maps else {})


def _unfit(pair: Pair, shrunk: int) -> Outcome | None:
    """Return why a pair has no similarity once it is `shrunk` so many times; None if it has one."""
    if -(-min(pair.frame.shape) // shrunk) < 2 * REACH + 1:
        return Outcome(reason="too-small")
    if not pair.data_range > 0:
        return Outcome(reason="constant")
    if pair.mask is not None and not _interior(pair.mask).any():
        return Outcome(reason="mask-too-small")
    return None


def _interior(plane: NDArray[Any]) -> NDArray[Any]:
    return plane[REACH:-REACH, REACH:-REACH]


def _means(pair: Pair) -> tuple[float, float]:
    """Return the mean similarity, and that of contrast and structure alone."""
    weights = np.empty((0, 0)) if pair.mask is None else pair.mask.astype(np.float64)
    count = _interior(pair.frame).size if pair.mask is None else np.count_nonzero(_interior(pair.mask))
    both, structure = summed_similarity(*_planes(pair), weights, REACH, np.empty((2, 0, 0)))
    return both / count, structure / count


def _map(pair: Pair) -> Floats:
    """Return the similarity at each pixel, and that of contrast and structure alone."""
    maps = np.empty((2, *pair.frame.shape))
    summed_similarity(*_planes(pair), np.empty((0, 0)), 0, maps)
    return maps


def _planes(pair: Pair) -> tuple[NDArray[Any], NDArray[Any], float, float]:
    c1, c2 = _K1 * pair.data_range, _K2 * pair.data_range
    return pair.frame, pair.reference, c1 * c1, c2 * c2


def _half(pair: Pair) -> Pair:
    """Return a pair of half the size."""
    frame, reference = (halved(plane) for plane in (pair.frame, pair.reference))
    if pair.mask is None:
        return pair._replace(frame=frame, reference=reference)
    mask = np.pad(pair.mask, [(0, size % 2) for size in pair.mask.shape], mode="edge")
    whole = mask.reshape(frame.shape[0], 2, frame.shape[1], 2).all(axis=(1, 3))
    return pair._replace(frame=frame, reference=reference, mask=np.asarray(whole))
