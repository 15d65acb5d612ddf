"""Numbers of the report: histograms and the residual that tells noise from structure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MIN_EXPECTED", "Histogram", "Residual", "histogram", "residual", "residual_histogram"]

# Below five counts the Poisson distribution is too skew to be held against a normal one.
MIN_EXPECTED = 5.0
MIN_PIXELS = 100


@dataclass(frozen=True, slots=True)
class Residual:
    """How the change compares with Poisson noise.

    Parameters
    ----------
    values : ndarray, shape (k,), float64
        (after - before) / sqrt(after) of every pixel with enough expected counts [1].
    mean, std : float
        Of the values; 0 and 1 when exactly the Poisson noise was removed [1].
    tail : float
        Fraction of values beyond three standard deviations; 0.0027 for a normal distribution, about 0.004 for Poisson noise at 5 to 10 counts [1].
    neighbour : float
        Correlation of horizontally or vertically adjacent values; 0 for white noise, positive when structure went [1].
    """

    values: NDArray[np.float64]
    mean: float
    std: float
    tail: float
    neighbour: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """Bin centres and the fraction of pixels in each bin."""

    centres: NDArray[np.float64]
    fraction: NDArray[np.float64]


def residual(
    before: NDArray[np.float64], after: NDArray[np.float64], min_expected: float = MIN_EXPECTED
) -> Residual | None:
    """Return the change in units of the Poisson noise that the output predicts.

    If `after` is the true mean of a Poisson image `before`, the values have mean 0, variance exactly 1, and neighbours
    that do not correlate.

    Parameters
    ----------
    before, after : ndarray, shape (rows, columns), float64
        Counts per input pixel [counts].
    min_expected : float
        Pixels whose output is lower are left out [counts].

    Returns
    -------
    Residual or None
        None when fewer than 100 pixels have enough counts.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> expected = np.full((200, 200), 40.0)
    >>> found = residual(rng.poisson(expected).astype(float), expected)
    >>> abs(found.std - 1) < 0.02, abs(found.neighbour) < 0.02
    (True, True)
    """
    mask = after >= min_expected
    if np.count_nonzero(mask) < MIN_PIXELS:
        return None
    field = np.where(mask, (after - before) / np.sqrt(np.where(mask, after, 1.0)), 0.0)
    values = field[mask]
    mean, std = float(values.mean()), float(values.std())
    tail = float(np.mean(np.abs(values) > 3))
    return Residual(values, mean, std, tail, _neighbour(field - mean, mask))


def histogram(values: NDArray[np.float64], lower: float, upper: float, bins: int = 64) -> Histogram:
    """Return the fraction of all values in equal bins between two limits; values beyond them are not shown.

    Examples
    --------
    >>> histogram(np.array([0.5, 0.6, 1.5, 9.0]), 0, 2, bins=2)
    Histogram(centres=array([0.5, 1.5]), fraction=array([0.5 , 0.25]))
    """
    counts, edges = np.histogram(values, bins=bins, range=(lower, upper))
    return Histogram((edges[:-1] + edges[1:]) / 2, counts / max(values.size, 1))


def residual_histogram(found: Residual, limit: float = 5.0, bins: int = 50) -> Histogram:
    """Return the probability density of the residual; the outermost bins hold everything beyond."""
    spread = histogram(np.clip(found.values, -limit, limit), -limit, limit, bins)
    return Histogram(spread.centres, spread.fraction * bins / (2 * limit))


def _neighbour(field: NDArray[np.float64], mask: NDArray[np.bool_]) -> float:
    """Return the correlation of adjacent pixels that both are in the mask."""
    power = float(np.mean(field[mask] ** 2))
    products = [
        (field[:, 1:] * field[:, :-1])[mask[:, 1:] & mask[:, :-1]],
        (field[1:] * field[:-1])[mask[1:] & mask[:-1]],
    ]
    adjacent = np.concatenate(products)
    return float(adjacent.mean()) / power if adjacent.size and power > 0 else 0.0
