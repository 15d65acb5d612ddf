"""Whether an image looks like what a model was trained on.

A network is only known to work on the kind of image that it learned from. Every bundle therefore carries mean and
covariance of a few physical features of its training inputs, and each input is measured against them. The features
live in the Anscombe domain, where Poisson noise has unit variance whatever the count level: rescaled, filtered or
interpolated images betray themselves by a noise that is not 1.
"""

import numpy as np
from numpy.typing import NDArray

from .bundle import Domain
from .errors import ModelError
from .frame_operations import statistics
from .result import DomainVerdict, Verdict

__all__ = ["FEATURES", "features", "features_of", "fit_domain", "judge"]

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
_ACTIVE = FEATURES.index("active fraction")
_LEAST_DEVIATION = 0.05
_UNUSUAL = 4.0
_VERDICTS: tuple[Verdict, ...] = ("inside", "border", "outside")


def features(pixels: NDArray[np.float32], threads: int = 1) -> NDArray[np.float64]:
    """Return the domain features of each frame.

    Parameters
    ----------
    pixels : ndarray, shape (n, rows, columns), float32
        Counts per pixel [counts].
    threads : int
        Threads to use.

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
    return features_of(statistics(pixels, threads=threads), pixels.shape[1] * pixels.shape[2])


def features_of(stats: NDArray[np.void], pixels: int) -> NDArray[np.float64]:
    """Return the domain features that the one-pass statistics of frames with so many pixels give."""
    mean = np.maximum(stats["sum"], 0) / pixels + 1e-3
    columns = (
        np.log10(mean),
        np.log10((np.maximum(stats["maximum"], 0) + 1e-3) / mean),
        stats["nonzero"] / pixels,
        np.log10(stats["anscombe_variance"] + 0.01),
        np.log10(stats["difference_1"] / 2 + 0.01),
        np.log10((stats["difference_2"] + 0.01) / (stats["difference_1"] + 0.01)),
        stats["non_integer"],
    )
    return np.stack(columns, axis=1)


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
    precision = np.linalg.inv(covariance).astype(np.float64)
    border = float(np.quantile(_distances(held_out, mean, precision), 0.99))
    return Domain(
        features=FEATURES,
        mean=tuple(mean.tolist()),
        precision=tuple(tuple(row) for row in precision.tolist()),
        limits=(border, 2 * border),
    )


def judge(found: NDArray[np.float64], domain: Domain) -> DomainVerdict:
    """Return how far features lie from a training domain, in words too.

    Parameters
    ----------
    found : ndarray, shape (n, 7), float64
        Features of the input frames.
    domain : Domain
        From the bundle's manifest.

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
    mean, precision = np.array(domain.mean), np.array(domain.precision)
    distances = _distances(found, mean, precision)
    empty = found[:, _ACTIVE] == 0
    if not empty.all():
        distances[empty] = 0.0
    worst = int(distances.argmax())
    verdict = _VERDICTS[int(np.searchsorted(domain.limits, distances[worst], side="left"))]
    reasons = () if verdict == "inside" else _reasons(found[worst], mean, precision)
    return DomainVerdict(verdict, distances, domain.limits, reasons)


def _distances(
    found: NDArray[np.float64], mean: NDArray[np.float64], precision: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return Mahalanobis distances."""
    offset = found - mean
    squares: NDArray[np.float64] = np.einsum("ni,ij,nj->n", offset, precision, offset)
    return np.sqrt(np.maximum(squares, 0))


def _reasons(row: NDArray[np.float64], mean: NDArray[np.float64], precision: NDArray[np.float64]) -> tuple[str, ...]:
    """Return sentences on the features that are most unusual given all others."""
    # With the others given, a feature's deviation is 1/sqrt(P_ii) about a mean shifted by the others.
    conditional = (precision @ (row - mean)) / np.sqrt(np.diag(precision))
    order = np.argsort(-np.abs(conditional))[:2]
    return tuple(
        _sentence(int(i), row[i], mean[i])
        for i in order
        if abs(conditional[i]) >= min(_UNUSUAL, abs(conditional[order[0]]))
    )


def _sentence(feature: int, value: float, usual: float) -> str:
    words, logarithm = _WORDS[feature]
    found, typical = (10**value, 10**usual) if logarithm else (value, usual)
    return f"{words} is {found:.2g}, {'more' if value > usual else 'less'} than the model was trained on (typically {typical:.2g})"
