"""How well scores tell cases apart and how far probabilities can be believed, each figure with its interval."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]

LEVEL = 0.95
REPLICATES = 2000
BINS = 15


@dataclass(frozen=True)
class Estimate:
    """A figure with its confidence interval.

    Parameters
    ----------
    value, low, high : float
        Figure and limits.

    Examples
    --------
    >>> print(Estimate(0.912, 0.9, 0.95))
    0.912 (0.900 to 0.950)
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True, eq=False)
class Curve:
    """An FROC or ROC curve: one point for each threshold at which something changes, from the highest down.

    Parameters
    ----------
    thresholds : ndarray, shape (k,)
        Scores from which on a mark counts; the first is infinite, where nothing counts.
    sensitivity : ndarray, shape (k,)
        Share of the lesions, or of the positives, that are found.
    false_positives : ndarray, shape (k,)
        Mean number of false positives per image, or share of the negatives.
    """

    thresholds: Values
    sensitivity: Values
    false_positives: Values

    def at(self, rate: float) -> int:
        """Return the index of the lowest threshold with at most so many false positives."""
        return int(np.searchsorted(self.false_positives, rate * (1 + 1e-12), side="right")) - 1

    def read(self, rates: Sequence[float]) -> list[float]:
        """Return the sensitivity at the lowest thresholds with at most so many false positives."""
        return [float(self.sensitivity[self.at(rate)]) for rate in rates]


@dataclass(frozen=True)
class Bin:
    """One row of a reliability table.

    Parameters
    ----------
    low, high : float
        Probabilities that belong here, the upper limit included.
    number : int
        How many there are.
    probability, frequency : float
        Mean probability, and share of the cases in which the event was there.
    """

    low: float
    high: float
    number: int
    probability: float
    frequency: float


def wilson(successes: int, trials: int, level: float = LEVEL) -> Estimate:
    """Return a share with its score interval; without trials nothing is known.

    Parameters
    ----------
    successes, trials : int
        Trials are taken as independent.
    level : float
        Of confidence.

    Raises
    ------
    ValueError
        If there are more successes than trials, or fewer than none.

    References
    ----------
    * Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference. J. Am. Stat. Assoc. 22.

    Examples
    --------
    >>> print(wilson(9, 10))
    0.900 (0.596 to 0.982)
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials} is no share.")
    if trials == 0:
        return Estimate(float("nan"), 0.0, 1.0)
    share, z = successes / trials, _quantile(level)
    middle = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * (share * (1 - share) / trials + z**2 / (4 * trials**2)) ** 0.5
    return Estimate(share, min(max(middle - half, 0.0), share), max(min(middle + half, 1.0), share))


def bootstrap(
    statistic: Callable[[NDArray[np.intp]], float],
    patients: Sequence[str],
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Estimate:
    """Return a statistic with its percentile interval (95 %), drawing patients with all their images.

    Parameters
    ----------
    statistic : callable
        Called with indices of images; may return NaN where these allow none, such replicates are left out.
    patients : sequence of str
        Of each image.
    replicates, seed : int
        Number of draws and their seed.

    References
    ----------
    * Efron, B. and Tibshirani, R. (1993). An introduction to the bootstrap, chapter 13.

    Examples
    --------
    >>> values = np.array([0.0, 0.0, 1.0, 1.0])
    >>> bootstrap(lambda rows: values[rows].mean(), ["a", "a", "b", "b"])
    Estimate(value=0.5, low=0.0, high=1.0)
    """
    names, owner = np.unique(patients, return_inverse=True)
    rows = [np.flatnonzero(owner == patient) for patient in range(len(names))]
    rng = np.random.default_rng(seed)
    drawn = [
        statistic(np.concatenate([rows[patient] for patient in rng.integers(len(rows), size=len(rows))]))
        for _ in range(replicates)
    ]
    return percentiles(statistic(np.arange(len(owner))), np.array(drawn))


def roc(scores: ArrayLike, positive: ArrayLike) -> Curve:
    """Return the receiver operating characteristic.

    Parameters
    ----------
    scores : array, shape (n,)
        Higher means more likely positive.
    positive : array, shape (n,), bool
        The truth; both kinds must occur.
    """
    values, truth = _two_classes(scores, positive)
    order = np.argsort(-values, kind="stable")
    values, truth = values[order], truth[order]
    ends = np.append(np.flatnonzero(np.diff(values)), len(values) - 1)
    found, false = np.cumsum(truth)[ends] / truth.sum(), np.cumsum(~truth)[ends] / (~truth).sum()
    return Curve(np.append(np.inf, values[ends]), np.append(0.0, found), np.append(0.0, false))


def auc(scores: ArrayLike, positive: ArrayLike, level: float = LEVEL) -> Estimate:
    """Return the area under the ROC curve with DeLong's interval.

    Parameters
    ----------
    scores : array, shape (n,)
        Higher means more likely positive.
    positive : array, shape (n,), bool
        The truth; both kinds must occur. Cases are taken as independent: for several images of a patient use
        :func:`bootstrap`.
    level : float
        Of confidence.

    Returns
    -------
    Estimate
        Limits of the normal approximation, cut at 0 and 1; a perfect separation has no variance, so that
        its interval says nothing.

    References
    ----------
    * DeLong, E. R. et al. (1988). Comparing the areas under two or more correlated receiver operating characteristic
      curves: a nonparametric approach. Biometrics 44.
    * Sun, X. and Xu, W. (2014). Fast implementation of DeLong's algorithm. IEEE Signal Process. Lett. 21.

    Examples
    --------
    >>> auc([0.1, 0.4, 0.35, 0.8], [False, False, True, True]).value
    0.75
    """
    from scipy.stats import rankdata

    values, truth = _two_classes(scores, positive)
    cases, controls = values[truth], values[~truth]
    ranks = rankdata(values)
    above = (ranks[truth] - rankdata(cases)) / len(controls)
    below = 1 - (ranks[~truth] - rankdata(controls)) / len(cases)
    variance = sum(part.var(ddof=1) / len(part) for part in (above, below) if len(part) > 1)
    area, half = float(above.mean()), _quantile(level) * float(variance) ** 0.5
    return Estimate(area, max(area - half, 0.0), min(area + half, 1.0))


def confusion(truth: ArrayLike, predicted: ArrayLike, classes: int) -> NDArray[np.int64]:
    """Return how many cases of each class (rows) were called each class (columns).

    Parameters
    ----------
    truth, predicted : array, shape (n,), int
        Number of the class.
    classes : int
        How many there are.

    Returns
    -------
    ndarray, shape (classes, classes), int64
        Cases.

    Examples
    --------
    >>> confusion([0, 0, 1], [0, 1, 1], 2).tolist()
    [[1, 1], [0, 1]]
    """
    found = np.zeros((classes, classes), np.int64)
    np.add.at(found, (np.asarray(truth), np.asarray(predicted)), 1)
    return found


def balanced_accuracy(matrix: NDArray[np.int64]) -> float:
    """Return the mean over the classes that occur of the share called right, from :func:`confusion`."""
    totals = matrix.sum(axis=1)
    return float((np.diag(matrix)[totals > 0] / totals[totals > 0]).mean())


def reliability(probabilities: ArrayLike, outcomes: ArrayLike, bins: int = BINS) -> tuple[Bin, ...]:
    """Return how often an event came true, by the probability it was given.

    Parameters
    ----------
    probabilities : array, shape (n,)
        Between 0 and 1; of several classes usually that of the one chosen.
    outcomes : array, shape (n,), bool
        Whether the event was there, or the chosen class right.
    bins : int
        Number of bins of the same width; empty ones are left out.

    Raises
    ------
    ValueError
        If there is no case, or a probability is none.
    """
    given, came = np.asarray(probabilities, np.float64), np.asarray(outcomes, bool)
    if given.shape != came.shape or not given.size or not ((given >= 0) & (given <= 1)).all():
        raise ValueError(f"{given.shape} probabilities of {came.shape} outcomes must lie between 0 and 1.")
    edges = np.linspace(0, 1, bins + 1)
    index = np.clip(np.searchsorted(edges, given) - 1, 0, bins - 1)
    return tuple(
        Bin(float(edges[k]), float(edges[k + 1]), int(here.sum()), float(given[here].mean()), float(came[here].mean()))
        for k in range(bins)
        if (here := index == k).any()
    )


def expected_calibration_error(probabilities: ArrayLike, outcomes: ArrayLike, bins: int = BINS) -> float:
    """Return the mean distance of probability and frequency over the bins, weighted by their cases.

    Parameters
    ----------
    probabilities, outcomes, bins
        See :func:`reliability`.

    References
    ----------
    * Naeini, M. P. et al. (2015). Obtaining well calibrated probabilities using Bayesian binning. AAAI.

    Examples
    --------
    >>> expected_calibration_error([0.8] * 10, [True] * 6 + [False] * 4)
    0.2
    """
    rows = reliability(probabilities, outcomes, bins)
    total = sum(row.number for row in rows)
    return float(round(sum(row.number * abs(row.probability - row.frequency) for row in rows) / total, 12))


def _two_classes(scores: ArrayLike, positive: ArrayLike) -> tuple[Values, NDArray[np.bool_]]:
    values, truth = np.asarray(scores, np.float64), np.asarray(positive, bool)
    if values.shape != truth.shape or values.ndim != 1 or truth.all() or not truth.any() or np.isnan(values).any():
        raise ValueError("an ROC curve needs a score for each case, and both positive and negative cases.")
    return values, truth


def percentiles(value: float, drawn: Values) -> Estimate:
    """Return a figure with the percentile interval (95 %) of its replicates.

    Parameters
    ----------
    value : float
        The figure.
    drawn : ndarray, shape (replicates,), float64
        Those that are NaN are left out.
    """
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(value), float(low), float(high))


def _quantile(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)
