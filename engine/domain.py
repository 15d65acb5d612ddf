"""Whether an image looks like what a model was trained on.

A network is only known to work on the kind of image that it learned from. Every bundle therefore carries statistics of the
features of its training inputs (see :mod:`photopeak.engine.domain_features`), and each input is measured against them: by
its Mahalanobis distance to the nearest of a few kinds of inputs that the training set holds.
"""

import numpy as np
from numpy.typing import NDArray

from .bundle import Domain, Input
from .domain_features import ACTIVE, COUNTS, FEATURES, Words, features, features_of, words_for
from .errors import ModelError
from .result import DomainVerdict, Verdict

__all__ = ["FEATURES", "VERDICTS", "features", "fit_domain", "judge", "judge_pixels"]

Rows = NDArray[np.float64]

_LEAST_DEVIATION = 0.05
_LEAST_SHARE = 0.02  # of the variance of all inputs that each kind is given at least
_MODES = 12
_INPUTS_PER_MODE = 50
_ROUNDS = 30
_DIGITS = 9  # of what a manifest holds
_AT_THE_BORDER = 0.05
_OUTSIDE = 1.5
_UNUSUAL = 4.0
VERDICTS: tuple[Verdict, ...] = ("inside", "border", "outside")


def judge_pixels(
    pixels: NDArray[np.float32],
    taken: Input,
    domain: Domain,
    threads: int = 1,
    stats: NDArray[np.void] | None = None,
) -> DomainVerdict:
    """Return the verdict on frames.

    Parameters
    ----------
    pixels : ndarray, shape (n, rows, columns), float32
        What went into the session.
    taken : Input
        What the model takes, from its manifest.
    domain : Domain
        From the same manifest.
    threads : int
        Threads to use.
    stats : ndarray, shape (n,), optional
        ``frame_operations.statistics`` of the pixels, where a model takes them as they are.

    Returns
    -------
    DomainVerdict
        See :func:`judge`.

    Raises
    ------
    ModelError
        If the bundle was made for other features.
    """
    if stats is None:
        found = features(pixels, threads, scaling=taken.scaling, units=taken.units)
    else:
        found = features_of(stats, pixels, threads)
    return judge(found, domain, words=words_for(taken))


def fit_domain(training: Rows, held_out: Rows) -> Domain:
    """Return the domain of a set of training inputs.

    Parameters
    ----------
    training, held_out : ndarray, shape (n, 18), float64
        Features of training inputs, and of held-out inputs of the same kind, which set the limits.

    Returns
    -------
    Domain
        ``border`` begins where 5 % of the held-out inputs lie, ``outside`` at 1.5 times that distance. The kinds of inputs are
        found by k-means after whitening, the same ones for the same features; all share one covariance.

    References
    ----------
    * Arthur, D. and Vassilvitskii, S. (2007). k-means++: the advantages of careful seeding. Proc. SODA.
    * Lee, K. et al. (2018). A simple unified framework for detecting out-of-distribution samples and adversarial attacks.
      NeurIPS. (The distance to the nearest class, with a covariance that all share.)

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(400, len(FEATURES)))
    >>> domain = fit_domain(rows[:200], rows[200:])
    >>> judge(rows[:1] + 9, domain).verdict
    'outside'
    """
    mean, spread = training.mean(axis=0), np.cov(training, rowvar=False)
    spread = spread + _LEAST_DEVIATION**2 * np.eye(len(mean))
    whiten = np.linalg.cholesky(np.linalg.inv(spread))
    modes, nearest = _kinds((training - mean) @ whiten, max(min(_MODES, len(training) // _INPUTS_PER_MODE), 1))
    modes = mean + np.linalg.solve(whiten.T, modes.T).T
    offset = training - modes[nearest]
    precision = np.linalg.inv(offset.T @ offset / len(training) + _LEAST_SHARE * spread)
    domain = Domain(
        features=FEATURES,
        mean=_plain(mean),
        modes=tuple(map(_plain, modes)),
        precision=tuple(map(_plain, precision)),
        limits=(1.0, 2.0),
    )
    border = float(np.quantile(_nearest(held_out, domain)[0], 1 - _AT_THE_BORDER))
    return domain.model_copy(update={"limits": (border, _OUTSIDE * border)})


def judge(found: Rows, domain: Domain, *, words: Words = COUNTS) -> DomainVerdict:
    """Return how far features lie from a training domain, in words too.

    Parameters
    ----------
    found : ndarray, shape (n, 18), float64
        Features of the input frames.
    domain : Domain
        From the bundle's manifest.
    words : tuple of (str, bool)
        What each feature is called in a sentence, and whether it is a logarithm.

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
    distances, modes = _nearest(found, domain)
    active = found[:, ACTIVE] != 0
    if active.any():
        distances = np.where(active, distances, 0.0)
    worst = int(np.argmax(distances))  # NaN counts as the largest
    # A distance that is not a number is not inside.
    verdict = VERDICTS[sum(not distances[worst] <= limit for limit in domain.limits)]
    reasons = () if verdict == "inside" else _reasons(found[worst], domain, int(modes[worst]), words)
    return DomainVerdict(verdict, distances, domain.limits, reasons)


def _plain(values: Rows) -> tuple[float, ...]:
    """Return numbers as a manifest holds them."""
    return tuple(float(f"{value:.{_DIGITS}g}") for value in values.tolist())


def _kinds(rows: Rows, number: int) -> tuple[Rows, NDArray[np.intp]]:
    """Return the centres of so many clusters, and to which each row belongs."""
    rng = np.random.default_rng(0)
    centres = rows[rng.integers(len(rows), size=1)]
    while len(centres) < number:
        chance = _squares(rows, centres).min(axis=1)
        if not chance.any():
            break
        centres = np.concatenate([centres, rows[rng.choice(len(rows), size=1, p=chance / chance.sum())]])
    for _ in range(_ROUNDS):
        nearest = _squares(rows, centres).argmin(axis=1)
        held = [rows[nearest == k] for k in range(len(centres))]
        centres = np.stack([part.mean(axis=0) if len(part) else centres[k] for k, part in enumerate(held)])
    return centres, _squares(rows, centres).argmin(axis=1)


def _squares(rows: Rows, centres: Rows) -> Rows:
    """Return the squared distance of each row to each centre."""
    found: Rows = np.square(rows[:, None] - centres).sum(axis=2)
    return found


def _nearest(found: Rows, domain: Domain) -> tuple[Rows, NDArray[np.intp]]:
    """Return the Mahalanobis distance of each frame's features to the nearest mode, and which that is."""
    modes, precision = domain.arrays
    offset = found[:, None] - modes
    squares = np.abs(np.vecdot(offset @ precision, offset))
    return np.sqrt(squares.min(axis=1)), squares.argmin(axis=1)


def _reasons(row: Rows, domain: Domain, mode: int, words: Words) -> tuple[str, ...]:
    """Return sentences on the features that are most unusual given all others."""
    modes, precision = domain.arrays
    # With the others given, a feature's deviation is 1/sqrt(P_ii) about a mean shifted by the others.
    unusual = (np.abs(precision @ (row - modes[mode])) / np.sqrt(np.diag(precision))).tolist()
    order = sorted(range(len(row)), key=unusual.__getitem__, reverse=True)[:2]
    least = min(_UNUSUAL, unusual[order[0]])
    return tuple(_sentence(words[i], float(row[i]), float(modes[mode, i])) for i in order if unusual[i] >= least)


def _sentence(feature: tuple[str, bool], value: float, usual: float) -> str:
    words, logarithm = feature
    found, typical = (10**value, 10**usual) if logarithm else (value, usual)
    return f"{words} is {found:.2g}, {'more' if value > usual else 'less'} than the model was trained on (typically {typical:.2g})"
