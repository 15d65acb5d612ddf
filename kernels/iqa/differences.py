"""Pixel-wise distance from a reference: peak signal-to-noise ratio and normalised root-mean-square error."""

from math import inf, log10, sqrt
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compilation import borrowing, compiled
from ..errors import UsageError
from .comparison import Comparison, Pair, Pairs, compare, unified
from .frames import Outcome
from .intensity import TYPES

__all__ = ["Normalization", "nrmse", "psnr"]

Normalization = Literal["euclidean", "mean", "range"]

# Sums run in so many lanes, always in the same order, whatever the vector instructions of the machine.
_LANES = 64
_LEAST = 1 << 21  # pixels of a thread: there is little to do for each


def psnr(
    frames: NDArray[Any],
    reference: NDArray[Any],
    *,
    data_range: float | None = None,
    mask: NDArray[Any] | None = None,
    maps: bool = False,
    threads: int = 1,
) -> Comparison:
    """Return the peak signal-to-noise ratio [dB] of each frame: 10 log10(range^2 / mean squared error).

    Parameters
    ----------
    frames, reference : ndarray, shape (rows, columns) or (n, rows, columns)
        Integers or floats; one image may be the reference of a whole stack.
    data_range : float, optional
        Greatest minus least value that pixels could have; by default 255 if the reference holds uint8, otherwise the
        greatest minus the least value that counts in the reference of each frame.
    mask : ndarray, shape (rows, columns) or (n, rows, columns), optional
        True (or not 0) where pixels count.
    maps : bool
        Whether to return squared errors, in the shape of the frame.
    threads : int
        Most frames to work on side by side.

    Returns
    -------
    Comparison
        Infinite where a frame equals its reference. NaN for the reason ``constant`` where the data range was not given
        and the reference has none, ``not-finite`` where pixels, or the squares of their errors, are no finite numbers
        (errors beyond about 1e150, or all of them below 1e-162).

    Raises
    ------
    InputError
        If the arrays are not images, or their shapes do not fit.
    UsageError
        If the data range is not a positive number.

    Examples
    --------
    >>> reference = np.arange(64, dtype=np.uint8).reshape(8, 8)
    >>> round(float(psnr(reference + 1, reference)), 4)
    48.1308
    """

    def one(pair: Pair, moments: _Moments) -> Outcome:
        if not pair.data_range > 0:
            return Outcome(reason="constant")
        mean = moments.error
        if not mean < inf or (mean == 0 and not _equal(pair)):
            return Outcome(reason="not-finite")
        value = 20 * log10(pair.data_range / sqrt(mean)) if mean > 0 else inf
        return Outcome(value, details={"map": np.square(_errors(pair))} if maps else {})

    def kernel(pairs: Pairs) -> list[Outcome]:
        return list(map(one, pairs.each(), _moments(pairs)))

    return compare(
        frames,
        reference,
        kernel,
        ("psnr", ""),
        data_range=data_range,
        mask=mask,
        maps=maps,
        threads=threads,
        least=_LEAST,
    )


def nrmse(
    frames: NDArray[Any],
    reference: NDArray[Any],
    *,
    normalization: Normalization = "euclidean",
    data_range: float | None = None,
    mask: NDArray[Any] | None = None,
    maps: bool = False,
    threads: int = 1,
) -> Comparison:
    """Return the root-mean-square error of each frame, as a part of what the reference holds.

    Parameters
    ----------
    frames, reference : ndarray, shape (rows, columns) or (n, rows, columns)
        Integers or floats; one image may be the reference of a whole stack.
    normalization : str
        What the error is divided by: the root of the mean square of the reference (``euclidean``), the magnitude of its
        mean (``mean``), or the data range (``range``).
    data_range : float, optional
        Only with ``range``: greatest minus least value that pixels could have; by default 255 if the reference holds
        uint8, otherwise the greatest minus the least value that counts in the reference of each frame.
    mask : ndarray, shape (rows, columns) or (n, rows, columns), optional
        True (or not 0) where pixels count.
    maps : bool
        Whether to return errors (frame minus reference) divided by the same number, in the shape of the frame.
    threads : int
        Most frames to work on side by side.

    Returns
    -------
    Comparison
        Its ``rule`` is the normalization. NaN where that would divide by 0, for the reason ``constant`` (the reference
        holds one value) or ``singular`` (it has a mean of 0), and where pixels, or squares of pixels or errors, are
        ``not-finite``.

    Raises
    ------
    InputError
        If the arrays are not images, or their shapes do not fit.
    UsageError
        If the data range is not a positive number, or the normalization does not exist or does not take one.

    Examples
    --------
    >>> reference = np.full((8, 8), 50.0)
    >>> float(nrmse(reference + 1, reference, normalization="mean"))
    0.02
    """
    if normalization not in ("euclidean", "mean", "range"):
        raise UsageError(f"there is no normalization {normalization!r}; use euclidean, mean or range.")
    if data_range is not None and normalization != "range":
        raise UsageError(f"the normalization {normalization} takes no data_range; leave it out or use range.")

    def one(pair: Pair, moments: _Moments) -> Outcome:
        error, square, mean = moments
        if not (error < inf and square < inf):
            return Outcome(reason="not-finite")
        divisor = {"euclidean": sqrt(square), "mean": abs(mean), "range": pair.data_range}[normalization]
        if not divisor > 0:
            seen = _seen(pair.reference, pair.mask)
            return Outcome(reason="singular" if seen.min() < seen.max() else "constant")
        return Outcome(sqrt(error) / divisor, details={"map": _errors(pair) / divisor} if maps else {})

    def kernel(pairs: Pairs) -> list[Outcome]:
        return list(map(one, pairs.each(), _moments(pairs)))

    named = "nrmse", normalization
    return compare(
        frames, reference, kernel, named, data_range=data_range, mask=mask, maps=maps, threads=threads, least=_LEAST
    )


def _seen(plane: NDArray[Any], mask: NDArray[np.bool_] | None) -> NDArray[Any]:
    return plane if mask is None else plane[mask]


def _equal(pair: Pair) -> bool:
    return np.array_equal(_seen(pair.frame, pair.mask), _seen(pair.reference, pair.mask))


def _errors(pair: Pair) -> NDArray[np.float64]:
    errors: NDArray[np.float64] = np.subtract(pair.frame, pair.reference, dtype=np.float64)
    return errors


class _Moments(NamedTuple):
    """Means over the pixels that count: squared error, square and value of the reference."""

    error: float
    square: float
    mean: float


def _moments(pairs: Pairs) -> list[_Moments]:
    pairs = unified(pairs)
    count, pixels = len(pairs.frames), pairs.frames[0].size
    totals, counts = np.empty((count, 3)), [pixels] * count
    if pairs.masks is None:
        _sums(pairs.frames.reshape(count, pixels), pairs.references.reshape(-1, pixels), totals)
    else:
        counts = [int(np.count_nonzero(mask)) for mask in pairs.masks]
        for pair, total in zip(pairs.each(), totals, strict=True):
            _sums(pair.frame[pair.mask][np.newaxis], pair.reference[pair.mask][np.newaxis], total[np.newaxis])
    return [_Moments(*[part / each for part in sums]) for sums, each in zip(totals.tolist(), counts, strict=True)]


@compiled(*(f"({kind}[:, ::1], {kind}[:, ::1], float64[:, ::1])" for kind in TYPES))
def _sums(frames: NDArray[Any], references: NDArray[Any], totals: NDArray[np.float64]) -> None:
    """Fill the sums of the squared error, and of the squares and values of the reference; one may be that of all."""
    lanes = np.empty(3 * _LANES)
    for index in range(frames.shape[0]):
        lanes[:] = 0.0
        _add_all(frames[index], references[index if references.shape[0] > 1 else 0], lanes)
        for which in range(3):
            total = 0.0
            for k in range(which * _LANES, (which + 1) * _LANES):
                total += lanes[k]
            totals[index, which] = total


@borrowing
def _add_all(frame: NDArray[Any], reference: NDArray[Any], lanes: NDArray[np.float64]) -> None:
    """Add all pixels to the lanes of the three sums."""
    whole = frame.size - frame.size % _LANES
    for start in range(0, whole, _LANES):
        _add(frame[start:], reference[start:], _LANES, lanes)
    _add(frame[whole:], reference[whole:], frame.size - whole, lanes)


@borrowing
def _add(frame: NDArray[Any], reference: NDArray[Any], count: int, lanes: NDArray[np.float64]) -> None:
    """Add the first `count` pixels to the lanes of the three sums."""
    for k in range(count):
        # Not float(), which leaves single precision as it is.
        value = np.float64(reference[k])
        error = np.float64(frame[k]) - value
        lanes[k] += error * error
        lanes[_LANES + k] += value * value
        lanes[2 * _LANES + k] += value
