"""Resampling along one axis: counts divided by area, maps interpolated between the centres of their cells."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ROUNDING", "Between", "Weights", "applied", "between", "weights"]

ROUNDING = 1e-6  # of a pixel: what a spacing that a header spells in decimals may be off by


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """What each pixel of one axis of a grid takes from which pixels of the image.

    Parameters
    ----------
    starts : tuple of int
        First pixel of the image that each takes of.
    bands : tuple of ndarray, float32
        Shares of the pixels from there on [1].
    """

    starts: tuple[int, ...]
    bands: tuple[NDArray[np.float32], ...]


@lru_cache(maxsize=64)
def weights(count: int, size: int, step: float, origin: float) -> Weights:
    """Return what the pixels of a grid take of the pixels of an image, along one axis.

    Parameters
    ----------
    count, size : int
        Pixels of the image and of the grid.
    step, origin : float
        Length of a pixel of the grid, and where the first begins [px of the image].

    Returns
    -------
    Weights
        Those of each pixel of the image sum to 1 where the grid covers it. On a coarser grid they are overlaps; on a finer one
        overlaps with a pixel smoothed by a box of 1 - `step`, reflected at the edges of the image.

    Examples
    --------
    >>> [band.tolist() for band in weights(4, 2, 2.0, 0.0).bands]
    [[1.0, 1.0], [1.0, 1.0]]
    """
    edges = np.clip(origin + step * np.arange(size + 1), 0, count)
    smooth = max(1 - step, 0.0)
    starts, bands = [], []
    for lower, upper in pairwise(edges.tolist()):
        first = max(int(np.floor(lower - smooth / 2)), 0)
        last = min(int(np.ceil(upper + smooth / 2)), count)
        pixels = np.arange(first, last)
        share = _below(upper - pixels, smooth) - _below(lower - pixels, smooth)
        # What would leave the image is reflected at its edge.
        if smooth and first == 0 and last:
            share[0] += _below(upper + 1, smooth) - _below(lower + 1, smooth)
        if smooth and last == count and last > first:
            share[-1] += _below(upper - count, smooth) - _below(lower - count, smooth)
        starts.append(first)
        bands.append(share.astype(np.float32))
    return Weights(tuple(starts), tuple(bands))


def _below(place: Any, smooth: float) -> Any:
    """Return the share of a pixel from 0 to 1, smoothed by a box, that lies below a place."""
    if smooth < ROUNDING:
        return np.clip(place, 0, 1)
    return (_ramp(place + smooth / 2) - _ramp(place - smooth / 2)) / smooth


def _ramp(place: Any) -> Any:
    """Return the integral of a place clipped to 0 and 1."""
    inside = np.clip(place, 0, 1)
    return inside**2 / 2 + np.maximum(place - 1, 0)


def applied(given: Weights, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the rows that weights make of the rows of an image.

    Parameters
    ----------
    given : Weights
        Of the image's rows.
    image : ndarray, shape (rows, columns), float32
        The image.

    Returns
    -------
    ndarray, shape (size, columns), float32
        Rows of the grid.
    """
    out = np.zeros((len(given.bands), image.shape[1]), np.float32)
    for row, start, band in zip(out, given.starts, given.bands, strict=True):
        if len(band):
            np.dot(band, image[start : start + len(band)], out=row)
    return out


@dataclass(frozen=True, slots=True, eq=False)
class Between:
    """Between which two cells the centre of each pixel of an image lies, and what it takes of them.

    Parameters
    ----------
    below, above : ndarray, shape (size,), intp
        The cells.
    near, far : ndarray, shape (size,), float32
        Their shares [1]; both 0 for pixels beyond the grid.
    """

    below: NDArray[np.intp]
    above: NDArray[np.intp]
    near: NDArray[np.float32]
    far: NDArray[np.float32]


def between(size: int, count: int, line: tuple[float, float], of: int) -> Between:
    """Return what `size` pixels of an image take of `count` cells that divide a grid of `of` pixels.

    Parameters
    ----------
    size, count : int
        Pixels of the image, and cells.
    line : tuple of float
        Step and origin of the grid, as for :func:`weights`.
    of : int
        Pixels of the grid.
    """
    step, origin = line
    place = (np.arange(size) + 0.5 - origin) / step
    at = np.clip(place * count / of - 0.5, 0, count - 1)
    below = np.minimum(at.astype(np.intp), max(count - 2, 0))
    inside = (place >= 0) & (place <= of)
    far = ((at - below) * inside).astype(np.float32)
    return Between(below, np.minimum(below + 1, count - 1), inside.astype(np.float32) - far, far)
