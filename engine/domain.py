"""Whether an image looks like what a model was trained on.

A network is only known to work on the kind of image that it learned from. Every bundle therefore carries mean and
covariance of a few physical features of its training inputs, and each input is measured against them. The features
live in the Anscombe domain, where Poisson noise has unit variance whatever the count level: rescaled, filtered or
interpolated images betray themselves by a noise that is not 1.
"""

from math import log10
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from . import postprocess
from .bundle import Domain
from .errors import ModelError
from .frame_operations import statistics
from .result import DomainVerdict, Verdict

__all__ = ["FEATURES", "features", "fit_domain", "judge", "judge_scaled", "judge_statistics"]

FEATURES = (
    "log10 mean counts",
    "log10 peak to mean",
    "active fraction",
    "log10 spread",
    "log10 grain",
    "log10 smoothness",
    "fraction of non-integers",
)
# What each feature is called in a sentence, and whether it is a logarithm.
_WORDS = (
    ("the mean count per pixel", True),
    ("the peak, relative to the mean,", True),
    ("the fraction of pixels with counts", False),
    ("the spread of the counts (variance after Anscombe's transform)", True),
    ("the grain, relative to counting noise,", True),
    ("the roughness at two pixels, relative to that at one,", True),
    ("the fraction of pixels that are not whole counts", False),
)
# Concentrations have no counting noise of their own: they are seen as if their brightest pixels held so many counts, which
# makes the features the same for any unit.
_COUNTS_OF_BRIGHTEST = 60.0
_SCALED_MEAN = ("the mean, relative to the brightest pixels,", True)
_ACTIVE = FEATURES.index("active fraction")
_LEAST_DEVIATION = 0.05
_UNUSUAL = 4.0
_VERDICTS: tuple[Verdict, ...] = ("inside", "border", "outside")


def features(
    pixels: NDArray[np.float32], threads: int = 1, *, scaling: Literal["none", "robust"] = "none"
) -> NDArray[np.float64]:
    """Return the domain features of each frame.

    Parameters
    ----------
    pixels : ndarray, shape (n, rows, columns), float32
        Counts per pixel [counts].
    threads : int
        Threads to use.
    scaling : {"none", "robust"}
        That of the model's input. With ``robust`` pixels may be in any unit, and what is negative counts as 0.

    Returns
    -------
    ndarray, shape (n, 7), float64
        In the order of ``FEATURES``. Grain is the mean squared difference of neighbours over its expectation for
        pure Poisson noise; smoothness is the same at a lag of two pixels, relative to that at one.

    References
    ----------
    * Anscombe, F. J. (1948). The transformation of Poisson, binomial and negative-binomial data. Biometrika 35.

    Examples
    --------
    >>> flood = np.random.default_rng(1).poisson(50, (1, 128, 128)).astype(np.float32)
    >>> row = features(flood)[0]
    >>> bool(abs(row[0] - np.log10(50)) < 0.01 and abs(row[4]) < 0.05)
    True
    """
    if scaling == "robust":
        scaled = postprocess.scale_in(pixels, scaling, threads).pixels
        pixels = np.maximum(scaled, np.float32(0)) * np.float32(_COUNTS_OF_BRIGHTEST)
    return _features_of(statistics(pixels, threads=threads), pixels.shape[1] * pixels.shape[2])


def judge_scaled(pixels: NDArray[np.float32], domain: Domain, threads: int = 1) -> DomainVerdict:
    """Return the verdict on frames whose model scales its input, in any unit."""
    return judge(features(pixels, threads, scaling="robust"), domain, scaled=True)


def judge_statistics(stats: NDArray[np.void], pixels: int, domain: Domain) -> DomainVerdict:
    """Return the verdict on frames with so many pixels, from their one-pass statistics."""
    return judge(_features_of(stats, pixels), domain)


def _features_of(stats: NDArray[np.void], pixels: int) -> NDArray[np.float64]:
    """Return the domain features that the one-pass statistics of frames with so many pixels give."""
    names = stats.dtype.names or ()
    return np.array([_features(dict(zip(names, row, strict=True)), pixels) for row in stats.tolist()])


def _features(stats: dict[str, float], pixels: int) -> tuple[float, ...]:
    mean = max(stats["sum"], 0.0) / pixels + 1e-3
    return (
        log10(mean),
        log10((max(stats["maximum"], 0.0) + 1e-3) / mean),
        stats["nonzero"] / pixels,
        log10(stats["anscombe_variance"] + 0.01),
        log10(stats["difference_1"] / 2 + 0.01),
        log10((stats["difference_2"] + 0.01) / (stats["difference_1"] + 0.01)),
        stats["non_integer"],
    )


def fit_domain(training: NDArray[np.float64], held_out: NDArray[np.float64]) -> Domain:
    """Return the domain of a set of training inputs.

    Parameters
    ----------
    training, held_out : ndarray, shape (n, 7), float64
        Features of training inputs, and of held-out inputs of the same kind, which set the limits.

    Returns
    -------
    Domain
        ``border`` begins where 1 % of the held-out inputs lie, ``outside`` at twice that distance.
    """
    mean = training.mean(axis=0)
    covariance = np.cov(training, rowvar=False) + _LEAST_DEVIATION**2 * np.eye(len(mean))
    precision = np.linalg.inv(covariance)
    domain = Domain(
        features=FEATURES, mean=tuple(mean.tolist()), precision=tuple(map(tuple, precision.tolist())), limits=(1.0, 2.0)
    )
    border = float(np.quantile(_distances(held_out, domain), 0.99))
    return domain.model_copy(update={"limits": (border, 2 * border)})


def judge(found: NDArray[np.float64], domain: Domain, *, scaled: bool = False) -> DomainVerdict:
    """Return how far features lie from a training domain, in words too.

    Parameters
    ----------
    found : ndarray, shape (n, 7), float64
        Features of the input frames.
    domain : Domain
        From the bundle's manifest.
    scaled : bool
        Whether the features are those of scaled frames.

    Returns
    -------
    DomainVerdict
        Frames without a single count have nothing to judge; they count only when all are like that.

    Raises
    ------
    ModelError
        If the bundle was made for other features.
    """
    if domain.features != FEATURES:
        raise ModelError("the bundle's domain statistics are of another version of Photopeak; export it again.")
    distances = _distances(found, domain).tolist()
    rows = found.tolist()
    if any(row[_ACTIVE] for row in rows):
        distances = [distance if row[_ACTIVE] else 0.0 for row, distance in zip(rows, distances, strict=True)]
    worst = int(np.argmax(distances))  # NaN counts as the largest
    # A distance that is not a number is not inside.
    verdict = _VERDICTS[sum(not distances[worst] <= limit for limit in domain.limits)]
    reasons = () if verdict == "inside" else _reasons(rows[worst], domain, scaled)
    return DomainVerdict(verdict, np.array(distances), domain.limits, reasons)


def _distances(found: NDArray[np.float64], domain: Domain) -> NDArray[np.float64]:
    """Return the Mahalanobis distance of each frame's features."""
    mean, precision = domain.arrays
    offset = found - mean
    squares: NDArray[np.float64] = np.vecdot(offset @ precision, offset)
    return np.sqrt(np.abs(squares))


def _reasons(row: list[float], domain: Domain, scaled: bool) -> tuple[str, ...]:
    """Return sentences on the features that are most unusual given all others."""
    mean, precision = domain.arrays
    # With the others given, a feature's deviation is 1/sqrt(P_ii) about a mean shifted by the others.
    unusual = (np.abs(precision @ (np.array(row) - mean)) / np.sqrt(np.diag(precision))).tolist()
    order = sorted(range(len(row)), key=unusual.__getitem__, reverse=True)[:2]
    least = min(_UNUSUAL, unusual[order[0]])
    return tuple(
        _sentence(_SCALED_MEAN if scaled and not i else _WORDS[i], row[i], domain.mean[i])
        for i in order
        if unusual[i] >= least
    )


def _sentence(feature: tuple[str, bool], value: float, usual: float) -> str:
    words, logarithm = feature
    found, typical = (10**value, 10**usual) if logarithm else (value, usual)
    return f"{words} is {found:.2g}, {'more' if value > usual else 'less'} than the model was trained on (typically {typical:.2g})"
