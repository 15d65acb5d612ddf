"""Figures of merit and their confidence intervals."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

PEAK_PERCENTILE = 99.9


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval.

    Parameters
    ----------
    mean, low, high : float
        Mean and the ends of the interval of 95 %.
    """

    mean: float
    low: float
    high: float


def peak(truth: NDArray[np.float32]) -> float:
    """Return the peak that PSNR and SSIM refer to: the 99.9th percentile of the noise-free image."""
    return max(float(np.percentile(truth, PEAK_PERCENTILE)), 1e-6)


def psnr(image: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    """Return the peak signal-to-noise ratio [dB].

    Parameters
    ----------
    image, truth : ndarray, same shape
        Estimate and noise-free image [counts per pixel].

    Returns
    -------
    float
        10 log10(peak^2 / mean squared error), see ``peak``.

    Examples
    --------
    >>> round(psnr(np.full((8, 8), 9.0), np.full((8, 8), 10.0)), 6)
    20.0
    """
    return psnr_of_error(float(np.mean((image.astype(np.float64) - truth) ** 2)), truth)


def psnr_of_error(squared_error: float, truth: NDArray[np.float32]) -> float:
    """Return the PSNR that belongs to a mean squared error [dB]."""
    return float(10 * np.log10(peak(truth) ** 2 / max(squared_error, 1e-12)))


def ssim(image: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    """Return the structural similarity with the Gaussian window of the original paper.

    Parameters
    ----------
    image, truth : ndarray, same shape
        Estimate and noise-free image [counts per pixel].

    Returns
    -------
    float
        Mean SSIM, 1 for identical images; the data range is ``peak``.

    References
    ----------
    * Wang et al., IEEE Trans. Image Process. 13 (2004) 600.

    Examples
    --------
    >>> image = np.arange(256.0).reshape(16, 16)
    >>> round(ssim(image, image), 6)
    1.0
    """
    return float(
        structural_similarity(
            image.astype(np.float64),
            truth.astype(np.float64),
            data_range=peak(truth),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def bootstrap(values: NDArray[np.float64], repeats: int = 2000, seed: int = 0) -> Interval:
    """Return the mean over cases and its bootstrap interval of 95 %.

    Parameters
    ----------
    values : ndarray, shape (n,)
        One figure per case.
    repeats : int
        Number of resamplings.
    seed : int
        Seed of the resampling.

    Returns
    -------
    Interval
        Percentile interval.

    References
    ----------
    * Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.

    Examples
    --------
    >>> bootstrap(np.array([3.0, 3.0, 3.0]))
    Interval(mean=3.0, low=3.0, high=3.0)
    """
    rng = np.random.default_rng(seed)
    means = values[rng.integers(0, len(values), (repeats, len(values)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(values.mean()), float(low), float(high))
