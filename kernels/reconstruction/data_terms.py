"""How far projections are from measured views: Poisson's likelihood, and weighted squares.

Pixels of all views are one flat array. `inverse` holds one over the sum of a pixel's row of the projector, and 0 where its ray
meets no voxel: such pixels say nothing about the volume and count for nothing.
"""

from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..errors import InputError

__all__ = ["DataTerm", "GaussianTerm", "PoissonTerm", "expected_deviance", "noise_variance"]

Flat = NDArray[np.float32]
Exact = NDArray[np.float64]

_LARGE = 300.0  # counts, from where on the series of the expected deviance is exact to 1e-6
_SMALL = 1e-8  # counts, below which the deviance is that of no count or one


class DataTerm(Protocol):
    """One half of a deviance, its conjugate, and a proximal step."""

    measured: Flat
    inverse: Flat

    def variance(self) -> Exact:
        """Return about the variance of the measured pixels."""

    def value(self, mean: Flat) -> float:
        """Return half the deviance of the measured pixels from what the model expects."""

    def conjugate(self, dual: Flat) -> float:
        """Return the value of the conjugate function."""

    def ascend(self, dual: Flat, mean: Flat, *, step: float, relaxation: float, threads: int) -> None:
        """Replace a dual iterate by its proximal step towards `mean`, with step sizes ``step * inverse``."""

    def expectation(self, mean: Flat) -> float:
        """Return half the deviance that noise alone would cause."""

    def residuals(self, mean: Flat) -> Flat:
        """Return measured minus expected over the standard deviation, 0 where the model excludes any noise."""


class PoissonTerm:
    """Counts, which are Poisson distributed about what the model expects.

    Parameters
    ----------
    measured : ndarray, shape (pixels,), float32
        Counts, not negative.
    inverse : ndarray, shape (pixels,), float32
        See above [1/mm].

    Examples
    --------
    >>> term = PoissonTerm(np.array([4, 0], np.float32), np.ones(2, np.float32))
    >>> round(term.value(np.array([2, 1], np.float32)), 4)  # 2 - 4 + 4 log(4 / 2), and 1
    1.7726
    """

    def __init__(self, measured: Flat, inverse: Flat) -> None:
        self.measured, self.inverse = measured, inverse
        self._used = inverse > 0
        self._counts = measured[self._used].astype(np.float64)
        self._seen = self._counts > 0

    def variance(self) -> Exact:
        """Return the counts, at least 1."""
        return np.maximum(self.measured, 1).astype(np.float64)

    def value(self, mean: Flat) -> float:
        """Return the sum of ``mean - counts + counts log(counts / mean)``."""
        expected = np.maximum(mean[self._used], 1e-12).astype(np.float64)
        counts = self._counts[self._seen]
        logs = counts * np.log(counts / expected[self._seen])
        return float(expected.sum() - self._counts.sum() + logs.sum())

    def conjugate(self, dual: Flat) -> float:
        """Return the sum of ``-counts log(1 - dual)``."""
        below = 1.0 - dual[self._used][self._seen].astype(np.float64)
        return -float((self._counts[self._seen] * np.log(np.maximum(below, 1e-30))).sum())

    def ascend(self, dual: Flat, mean: Flat, *, step: float, relaxation: float, threads: int) -> None:
        """Replace a dual iterate by its proximal step, exactly."""
        _native.poisson_step(dual, mean, self.measured, self.inverse, step=step, relaxation=relaxation, threads=threads)

    def expectation(self, mean: Flat) -> float:
        """Return half the sum of :func:`expected_deviance`."""
        return 0.5 * float(expected_deviance(mean[self._used]).sum())

    def residuals(self, mean: Flat) -> Flat:
        """Return Pearson's residuals."""
        spread = np.sqrt(np.where(mean > 0, mean, np.inf))
        return np.asarray(np.where(self._used, (self.measured - mean) / spread, 0), np.float32)


class GaussianTerm:
    """Pixels of known variance.

    Parameters
    ----------
    measured : ndarray, shape (pixels,), float32
        Of any unit.
    inverse : ndarray, shape (pixels,), float32
        See above [1/mm].
    variance : ndarray, shape (pixels,), float32
        Of the measured values, above 0.

    Examples
    --------
    >>> term = GaussianTerm(np.zeros(2, np.float32), np.ones(2, np.float32), np.full(2, 4, np.float32))
    >>> term.value(np.array([2, 4], np.float32))
    2.5
    """

    def __init__(self, measured: Flat, inverse: Flat, variance: Flat) -> None:
        self.measured, self.inverse, self._variance = measured, inverse, variance
        self._used = inverse > 0

    def variance(self) -> Exact:
        """Return the variance."""
        return self._variance.astype(np.float64)

    def value(self, mean: Flat) -> float:
        """Return half the sum of squares over the variance."""
        difference = (mean - self.measured)[self._used].astype(np.float64)
        return 0.5 * float((difference**2 / self._variance[self._used]).sum())

    def conjugate(self, dual: Flat) -> float:
        """Return the sum of ``dual measured + variance dual^2 / 2``."""
        used = dual[self._used].astype(np.float64)
        return float((used * self.measured[self._used] + 0.5 * self._variance[self._used] * used**2).sum())

    def ascend(self, dual: Flat, mean: Flat, *, step: float, relaxation: float, threads: int) -> None:
        """Replace a dual iterate by its proximal step."""
        _native.gaussian_step(
            dual, mean, self.measured, self._variance, self.inverse, step=step, relaxation=relaxation, threads=threads
        )

    def expectation(self, mean: Flat) -> float:
        """Return half the number of pixels."""
        return 0.5 * float(np.count_nonzero(self._used))

    def residuals(self, mean: Flat) -> Flat:
        """Return the differences over the standard deviation."""
        scaled = (self.measured - mean) / np.sqrt(self._variance)
        return np.asarray(np.where(self._used, scaled, 0), np.float32)


def expected_deviance(mean: NDArray[np.float32] | Exact) -> Exact:
    """Return the expectation of the deviance ``2 (mean - n + n log(n / mean))`` of Poisson distributed counts n.

    It is about 1 for many counts, up to 1.15 for a few, and small where next to none are expected.

    Parameters
    ----------
    mean : ndarray
        Expected counts; below zero counts as zero.

    Returns
    -------
    ndarray, same shape, float64
        Exact to 1e-5.

    Examples
    --------
    >>> expected_deviance(np.array([0.0, 0.01, 1.0, 1000.0])).round(3).tolist()
    [0.0, 0.092, 1.147, 1.0]
    """
    counts = np.maximum(np.asarray(mean, np.float64), 0)
    at, table = _deviance_table()
    inner = np.interp(np.log(np.clip(counts, _SMALL, _LARGE)), at, table)
    tail = np.maximum(counts, _LARGE)
    series = 1 + 1 / (6 * tail) + 1 / (6 * tail**2)
    tiny = -2 * counts * np.log(np.maximum(counts, 1e-300))
    return np.where(counts > _LARGE, series, np.where(counts < _SMALL, tiny, inner))


@cache
def _deviance_table() -> tuple[Exact, Exact]:
    """Return logarithms of means and the expected deviance there, summed over the distribution."""
    at = np.linspace(np.log(_SMALL), np.log(_LARGE), 4000)
    mean = np.exp(at)[:, None]
    n = np.arange(1, 600, dtype=np.float64)
    likelihood = np.exp(n * at[:, None] - mean - np.cumsum(np.log(n)))
    ratios = mean - n + n * (np.log(n) - at[:, None])
    none = np.exp(-mean[:, 0]) * mean[:, 0]
    return at, 2 * (none + (likelihood * ratios).sum(axis=1))


def noise_variance(view: NDArray[np.float32]) -> float:
    """Return the variance of noise in an image, from the median of its finest diagonal details.

    Parameters
    ----------
    view : ndarray, shape (rows, columns), float32
        An image whose noise is alike everywhere and independent from pixel to pixel.

    Returns
    -------
    float
        In the square of the unit of the image.

    Raises
    ------
    InputError
        If the image has one row or column only.

    References
    ----------
    * Donoho and Johnstone, Ideal spatial adaptation by wavelet shrinkage, Biometrika 81 (1994).

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(0, 3, (128, 128)).astype(np.float32)
    >>> round(noise_variance(noise) / 9, 1)
    1.0
    """
    if min(view.shape) < 2:
        raise InputError(f"an image of {view.shape} pixels does not tell its noise; give variance.")
    details = 0.5 * (view[:-1, :-1] - view[1:, :-1] - view[:-1, 1:] + view[1:, 1:])
    return float(np.median(np.abs(details)) / 0.6744897501960817) ** 2
