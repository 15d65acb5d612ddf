"""How well detectors do: FROC curves and operating points, each figure with its interval.

Figures of classifiers are offered here too, so that a study imports one module.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .score_statistics import (
    REPLICATES,
    Bin,
    Curve,
    Estimate,
    Values,
    auc,
    balanced_accuracy,
    bootstrap,
    confusion,
    expected_calibration_error,
    percentiles,
    reliability,
    roc,
    wilson,
)

__all__ = [
    "STATED_SCORE",
    "Bin",
    "Curve",
    "Estimate",
    "MarkedImage",
    "OperatingPoint",
    "assign",
    "auc",
    "balanced_accuracy",
    "bootstrap",
    "calibration_error_of_marks",
    "confusion",
    "expected_calibration_error",
    "froc",
    "operating_point",
    "reliability",
    "roc",
    "sensitivity_at",
    "threshold_for",
    "wilson",
]

STATED_SCORE = 0.05  # below it nobody looks at a mark


@dataclass(frozen=True, eq=False)
class MarkedImage:
    """What a detector says about an image, beside the truth.

    Parameters
    ----------
    patient : str
        Images of one patient are drawn together in the bootstrap.
    scores : ndarray, shape (m,)
        Of every mark, at the lowest threshold that matters.
    hits : ndarray, shape (m,), int
        Which lesion each mark lies on, or -1 for a false positive; see :func:`assign`.
    lesions : int
        How many there are.

    Raises
    ------
    ValueError
        If a mark lies on a lesion that there is not, or a score is not a number.
    """

    patient: str
    scores: NDArray[np.floating]
    hits: NDArray[np.integer]
    lesions: int

    def __post_init__(self) -> None:
        if self.scores.shape != self.hits.shape or self.scores.ndim != 1:
            raise ValueError(f"there are {self.scores.shape} scores for {self.hits.shape} marks.")
        if self.hits.size and not -1 <= self.hits.min() <= self.hits.max() < self.lesions:
            raise ValueError(f"marks lie on lesions {self.hits.tolist()}, there are {self.lesions}.")
        if np.isnan(self.scores).any():
            raise ValueError("a score is not a number.")

    @cached_property
    def best(self) -> Values:
        """Highest score on each lesion, -inf where no mark lies, shape (lesions,)."""
        found = np.full(self.lesions, -np.inf)
        on = self.hits >= 0
        np.maximum.at(found, self.hits[on], self.scores[on])
        return found

    @property
    def false_positives(self) -> NDArray[np.floating]:
        """Scores of the marks on no lesion."""
        return self.scores[self.hits < 0]


@dataclass(frozen=True)
class OperatingPoint:
    """A detector at one threshold.

    Parameters
    ----------
    threshold : float
        Lowest score that counts.
    lesions, patients : Estimate
        Share of the lesions that are found, and of the patients with lesions in whom at least one is (Wilson).
    clear : Estimate
        Share of the patients without lesions in whom nothing is marked (Wilson).
    false_positives : Estimate
        Mean number per image (bootstrap by patient).
    """

    threshold: float
    lesions: Estimate
    patients: Estimate
    clear: Estimate
    false_positives: Estimate


def assign(marks: ArrayLike, lesions: ArrayLike, reach: ArrayLike) -> NDArray[np.intp]:
    """Tell which lesion each mark lies on: the nearest one, if it is within reach.

    Parameters
    ----------
    marks : array, shape (m, 2)
        Positions.
    lesions : array, shape (l, 2)
        Centres, in the same unit.
    reach : array, shape (l,) or float
        How far from each centre a mark still belongs to the lesion, in the same unit.

    Returns
    -------
    ndarray, shape (m,), int
        Index of the lesion, or -1.

    Examples
    --------
    >>> assign([(0, 1), (9, 9)], [(0, 0), (4, 4)], 3.0).tolist()
    [0, -1]
    """
    positions, centres = np.reshape(marks, (-1, 2)), np.reshape(lesions, (-1, 2))
    if not len(centres):
        return np.full(len(positions), -1, np.intp)
    distance = np.linalg.norm(positions[:, None] - centres, axis=2)
    distance = np.where(distance <= np.broadcast_to(reach, len(centres)), distance, np.inf)
    nearest = distance.argmin(axis=1)
    return np.where(np.isfinite(distance.min(axis=1)), nearest, -1)


def froc(images: Sequence[MarkedImage]) -> Curve:
    """Return the free-response curve: a lesion is found at a threshold if some mark on it reaches that.

    Parameters
    ----------
    images : sequence of MarkedImage
        At least one, and at least one lesion among them.

    Returns
    -------
    Curve
        Further marks on a lesion that is found already count neither way.

    Raises
    ------
    ValueError
        If there is no lesion.

    References
    ----------
    * Chakraborty, D. P. (1989). Maximum likelihood analysis of free-response receiver operating characteristic (FROC)
      data. Med. Phys. 16.
    * Bunch, P. C. et al. (1978). A free-response approach to the measurement and characterization of
      radiographic-observer performance. J. Appl. Photogr. Eng. 4.
    """
    return _Events(images).curve(None)


def sensitivity_at(
    images: Sequence[MarkedImage], rates: Sequence[float], *, replicates: int = REPLICATES, seed: int = 0
) -> tuple[Estimate, ...]:
    """Return the sensitivity at given numbers of false positives per image.

    Parameters
    ----------
    images : sequence of MarkedImage
        As for :func:`froc`.
    rates : sequence of float
        False positives per image; of the thresholds that stay below, the lowest is taken.
    replicates, seed : int
        Of the percentile bootstrap by patient (95 %), which chooses the threshold anew in every replicate.

    Returns
    -------
    tuple of Estimate
        One for each rate.
    """
    events = _Events(images)
    drawn = np.array([events.curve(weights).read(rates) for weights in events.weights(replicates, seed)])
    return tuple(
        percentiles(value, column) for value, column in zip(events.curve(None).read(rates), drawn.T, strict=True)
    )


def threshold_for(images: Sequence[MarkedImage], rate: float) -> float:
    """Return the lowest threshold with at most so many false positives per image.

    Parameters
    ----------
    images : sequence of MarkedImage
        As for :func:`froc`.
    rate : float
        False positives per image.

    Returns
    -------
    float
        A score that occurs; infinite where even the highest mark is one false positive too many.
    """
    curve = froc(images)
    return float(curve.thresholds[curve.at(rate)])


def operating_point(images: Sequence[MarkedImage], threshold: float, *, seed: int = 0) -> OperatingPoint:
    """Return what a detector does at one threshold.

    Parameters
    ----------
    images : sequence of MarkedImage
        At least one.
    threshold : float
        Lowest score that counts.
    seed : int
        Of the bootstrap.

    Returns
    -------
    OperatingPoint
        Lesions, patients and false positives with their 95 % intervals.
    """
    found = [image.best >= threshold for image in images]
    false = np.array([np.count_nonzero(image.false_positives >= threshold) for image in images])
    names = np.array([image.patient for image in images])
    ill = {image.patient for image in images if image.lesions}
    hit = {image.patient for image, lesions in zip(images, found, strict=True) if lesions.any()}
    marked = {image.patient for image, number in zip(images, false, strict=True) if number}
    well = set(names.tolist()) - ill
    lesions = np.concatenate(found)
    return OperatingPoint(
        threshold,
        wilson(int(lesions.sum()), len(lesions)),
        wilson(len(hit), len(ill)),
        wilson(len(well - marked), len(well)),
        bootstrap(lambda rows: float(false[rows].mean()), names.tolist(), seed=seed),
    )


def calibration_error_of_marks(images: Sequence[MarkedImage], least: float = STATED_SCORE) -> float:
    """Return how far the scores of marks are from the share that lies on a lesion, as an expected calibration error.

    Parameters
    ----------
    images : sequence of MarkedImage
        Scores are probabilities.
    least : float
        Lower scores are left out.

    Returns
    -------
    float
        NaN where there is no mark.

    Examples
    --------
    >>> image = MarkedImage("a", np.array([0.9, 0.6, 0.01]), np.array([0, -1, -1]), 1)
    >>> calibration_error_of_marks([image])
    0.35
    """
    scores = np.concatenate([image.scores for image in images])
    hits = np.concatenate([image.hits for image in images]) >= 0
    stated = scores >= least
    return expected_calibration_error(scores[stated], hits[stated]) if stated.any() else float("nan")


class _Events:
    """Everything that moves an FROC curve, by falling score."""

    def __init__(self, images: Sequence[MarkedImage]) -> None:
        names, owner = np.unique([image.patient for image in images], return_inverse=True)
        best, false = [image.best for image in images], [image.false_positives for image in images]
        scores = np.concatenate([*best, *false]).astype(np.float64)
        patients = np.concatenate([np.repeat(owner, list(map(len, part))) for part in (best, false)])
        order = np.argsort(-scores, kind="stable")
        self._scores, self._patients = scores[order], patients[order]
        self._lesion = order < sum(map(len, best))
        self._marked = np.isfinite(self._scores)
        with np.errstate(invalid="ignore"):  # -inf minus -inf, of lesions that no mark lies on
            steps = np.diff(self._scores[self._marked])
        self._ends = np.append(np.flatnonzero(steps), len(steps)) if self._marked.any() else np.array([], np.intp)
        self._images = np.bincount(owner, minlength=len(names))
        self._lesions = np.bincount(owner, [image.lesions for image in images], minlength=len(names))
        if not self._lesions.any():
            raise ValueError("sensitivity needs at least one lesion.")

    def weights(self, replicates: int, seed: int) -> Iterator[NDArray[np.int64]]:
        """Yield how often each patient is drawn; draws without any lesion are drawn again."""
        rng, number = np.random.default_rng(seed), len(self._images)
        while replicates:
            drawn = rng.multinomial(number, np.full(number, 1 / number))
            if drawn @ self._lesions:
                replicates -= 1
                yield drawn

    def curve(self, weights: NDArray[np.int64] | None) -> Curve:
        """Return the curve with every patient as often as the weights say."""
        drawn = np.ones(len(self._images), np.int64) if weights is None else weights
        number = drawn[self._patients[self._marked]]
        lesion = self._lesion[self._marked]
        found, false = (np.cumsum(number * kind)[self._ends] for kind in (lesion, ~lesion))
        return Curve(
            np.append(np.inf, self._scores[self._ends]),
            np.append(0.0, found / (drawn @ self._lesions)),
            np.append(0.0, false / (drawn @ self._images)),
        )
