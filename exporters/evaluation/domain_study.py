"""Whether inputs that a model was not trained on are told apart, and whether the model is worse where they are."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom
from scipy.stats import rankdata, spearmanr

from ...engine import domain
from ...engine.bundle import Bundle
from ...engine.errors import UsageError
from ...engine.result import Verdict
from ...engine.session import Session, load_for_images
from ..recipes.catalogue import Recipe, find
from .domain_inputs import FIRST, HELD_OUT, Pixels, Shifted, inputs, kinds_of_objects
from .metrics import Interval

LARGEST = 1 << 17  # pixels of an input that the model is run on
WIDTHS_PX = (0.0, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
REPEATS = 1000
_TINY = 1e-12
TRAINED = 0.75  # share of the studies of an object that its own domain is fitted to
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Judged:
    """What the engine says about one input, and what the model makes of it.

    Parameters
    ----------
    kind, how, case
        See :class:`~.domain_inputs.Shifted`.
    distance : float
        From the training domain, in units of where the border begins [1].
    verdict : {"inside", "border", "outside"}
        Of the engine.
    shortfall_db, nrmse : float or None
        PSNR that a Gaussian filter of the best width (which knows the truth) reaches, after bicubic enlargement where the
        model enlarges, less that of the model [dB]: negative where the model is worth its name, whatever the counts. Root
        mean squared error over the root mean square of the truth [1]. None where there is no truth or the input is too
        large.
    """

    kind: str
    how: str
    case: int
    distance: float
    verdict: Verdict
    shortfall_db: float | None = None
    nrmse: float | None = None


@dataclass(frozen=True)
class Separation:
    """How well one shift is told apart from held-out inputs.

    Parameters
    ----------
    kind, how : str
        The shift.
    number : int
        Inputs.
    auc : Interval
        Area under the receiver operating characteristic of the distance; 1/2 is chance.
    shares : tuple of float
        Fractions of the inputs that are inside, at the border, and outside.
    shortfall_db : float or None
        Median over the inputs that have one.
    """

    kind: str
    how: str
    number: int
    auc: Interval
    shares: tuple[float, float, float]
    shortfall_db: float | None


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation of the distance, or of the verdict, with an error of the model.

    Parameters
    ----------
    of : {"distance", "verdict"}
        What the engine says.
    error : {"shortfall_db", "nrmse"}
        Which error.
    number : int
        Inputs that have one.
    rho : Interval
        With its bootstrap interval over cases.
    """

    of: str
    error: str
    number: int
    rho: Interval


@dataclass(frozen=True)
class Worth:
    """What the model is worth for the inputs of one verdict.

    Parameters
    ----------
    verdict : {"inside", "border", "outside"}
        Of the engine.
    number : int
        Inputs.
    shortfall_db : Interval
        Mean over the inputs [dB].
    useless : Interval
        Share of the inputs with a shortfall above 0: the Gaussian filter is better.
    """

    verdict: Verdict
    number: int
    shortfall_db: Interval
    useless: Interval


@dataclass(frozen=True)
class DomainReport:
    """All of a model: every input, the summary of each shift, and the correlations with the error.

    Parameters
    ----------
    model : str
        Name of the bundle.
    judged : tuple of Judged
        Every input.
    separations : tuple of Separation
        One entry per shift, held-out inputs first.
    correlations : tuple of Correlation
        Of distance and verdict with the errors.
    worths : tuple of Worth
        One entry per verdict that occurs.
    objects : dict of str to dict of str to float
        AUC of the domain of one object alone (first key) for another (second key).
    """

    model: str
    judged: tuple[Judged, ...]
    separations: tuple[Separation, ...]
    correlations: tuple[Correlation, ...]
    worths: tuple[Worth, ...]
    objects: dict[str, dict[str, float]]


def study(bundle: Bundle, data: Path | None, tell: Tell = lambda name: None) -> DomainReport:
    """Judge held-out and shifted inputs by a bundle's domain, and run the model on them.

    Parameters
    ----------
    bundle : Bundle
        Of a recipe for planar scintigraphy or PET.
    data : Path or None
        Folder with the shared collections.
    tell : callable
        Told what is being measured.

    Returns
    -------
    DomainReport
        The same for the same arguments, on any machine to rounding.

    Raises
    ------
    UsageError
        If no shifted inputs are made for images of the bundle's kind.
    """
    if not has_inputs(bundle):
        raise UsageError(
            f"shifted inputs are made for scintigraphy and PET only, not for {bundle.name}, name another model."
        )
    session = load_for_images(bundle, device="cpu", precision="fp32")
    entries: list[Judged] = []
    for shifted in inputs(bundle, data):
        entries.append(_judged(session, shifted))
        if len(entries) % 100 == 0:
            tell(f"{bundle.name}: {len(entries)} inputs")
    judged = tuple(entries)
    tell(f"{bundle.name}: domains of single kinds of objects")
    objects = object_table(find(bundle.manifest.training.recipe))
    return DomainReport(bundle.name, judged, separate(judged), correlate(judged), worth(judged), objects)


def has_inputs(bundle: Bundle) -> bool:
    """Return whether shifted inputs are made for images of a bundle's kind."""
    return find(bundle.manifest.training.recipe).family in FIRST


def _judged(session: Session, shifted: Shifted) -> Judged:
    """Judge one input, and measure the model's error where it has a truth."""
    manifest = session.bundle.manifest
    errors: tuple[float | None, float | None] = (None, None)
    if shifted.truth is None or shifted.image.size > LARGEST:
        verdict = domain.judge_pixels(shifted.image[None], manifest.input, manifest.domain)
    else:
        result = session.run(shifted.image)
        verdict, errors = result.domain, _errors(shifted, result.frames.pixels[0], manifest.image_output.scale)
    relative = float(verdict.distances[0] / verdict.limits[0])
    return Judged(shifted.kind, shifted.how, shifted.case, relative, verdict.verdict, *errors)


def _errors(shifted: Shifted, output: Pixels, scale: int) -> tuple[float, float]:
    """Return the shortfall [dB] and the normalised error."""
    truth = np.asarray(shifted.truth, np.float64)
    entered = shifted.image.astype(np.float64)
    if scale > 1:
        entered = zoom(entered, scale, order=3, mode="nearest", grid_mode=True)
        entered *= truth.sum() / max(entered.sum(), _TINY)
    filtered = min(_squared(gaussian_filter(entered, width) if width else entered, truth) for width in WIDTHS_PX)
    own = _squared(output, truth)
    return 10 * np.log10(own / filtered), float(np.sqrt(own / (np.mean(truth**2) + _TINY)))


def _squared(image: NDArray[Any], truth: NDArray[np.float64]) -> float:
    return float(np.mean((image - truth) ** 2)) + _TINY


def separate(judged: tuple[Judged, ...]) -> tuple[Separation, ...]:
    """Summarise each shift."""
    reference = [entry for entry in judged if entry.kind == HELD_OUT]
    shifts = dict.fromkeys((entry.kind, entry.how) for entry in judged)
    return tuple(
        _separation(reference, [entry for entry in judged if (entry.kind, entry.how) == shift]) for shift in shifts
    )


def _separation(reference: list[Judged], shifted: list[Judged]) -> Separation:
    shortfalls = [entry.shortfall_db for entry in shifted if entry.shortfall_db is not None]
    shares = [sum(entry.verdict == verdict for entry in shifted) / len(shifted) for verdict in domain.VERDICTS]
    return Separation(
        shifted[0].kind,
        shifted[0].how,
        len(shifted),
        _auc_interval(reference, shifted),
        (shares[0], shares[1], shares[2]),
        float(np.median(shortfalls)) if shortfalls else None,
    )


def auc(usual: NDArray[np.float64], shifted: NDArray[np.float64]) -> float:
    """Return the chance that a shifted input is farther away than a usual one; ties count half.

    Examples
    --------
    >>> auc(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
    0.875
    """
    ranks = rankdata(np.concatenate([usual, shifted]))[len(usual) :]
    return float((ranks.sum() - len(shifted) * (len(shifted) + 1) / 2) / (len(usual) * len(shifted)))


def _auc_interval(reference: list[Judged], shifted: list[Judged]) -> Interval:
    """Return the AUC with its bootstrap interval over cases."""
    rng = np.random.default_rng(0)
    parts = [_by_case(part, np.array([entry.distance for entry in part])) for part in (reference, shifted)]
    drawn = [auc(*(np.concatenate(_resampled(part, rng)) for part in parts)) for _ in range(REPEATS)]
    return _interval(auc(*(np.concatenate(part) for part in parts)), drawn)


def correlate(judged: tuple[Judged, ...]) -> tuple[Correlation, ...]:
    """Return the rank correlations of distance and verdict with the errors."""
    pairs = (("distance", "shortfall_db"), ("verdict", "shortfall_db"), ("distance", "nrmse"))
    return tuple(_correlation(judged, of, error) for of, error in pairs)


def _correlation(judged: tuple[Judged, ...], of: str, error: str) -> Correlation:
    known = [entry for entry in judged if getattr(entry, error) is not None]
    said = [entry.distance if of == "distance" else float(domain.VERDICTS.index(entry.verdict)) for entry in known]
    parts = _by_case(known, np.stack([said, [getattr(entry, error) for entry in known]], axis=1))
    return Correlation(of, error, len(known), _bootstrapped(_rho, parts))


def _rho(parts: list[NDArray[np.float64]]) -> float:
    """Return the rank correlation of two columns; a column that never changes has none."""
    rows = np.concatenate(parts)
    return float(spearmanr(*rows.T).statistic) if np.ptp(rows, axis=0).all() else 0.0


def worth(judged: tuple[Judged, ...]) -> tuple[Worth, ...]:
    """Return what the model is worth for the inputs of each verdict."""
    found = []
    for verdict in domain.VERDICTS:
        of = [entry for entry in judged if entry.verdict == verdict and entry.shortfall_db is not None]
        if of:
            parts = _by_case(of, np.array([entry.shortfall_db for entry in of]))
            mean = lambda rows: float(np.concatenate(rows).mean())
            useless = _bootstrapped(mean, [part > 0 for part in parts])
            found.append(Worth(verdict, len(of), _bootstrapped(mean, parts), useless))
    return tuple(found)


def _by_case(entries: list[Judged], values: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return the values of each case: they are not independent."""
    cases = np.array([entry.case for entry in entries])
    return [values[cases == case] for case in np.unique(cases)]


def _bootstrapped(figure: Callable[[list[NDArray[Any]]], float], parts: list[NDArray[Any]]) -> Interval:
    """Return a figure of all cases with its percentile interval."""
    rng = np.random.default_rng(0)
    return _interval(figure(parts), [figure(_resampled(parts, rng)) for _ in range(REPEATS)])


def _resampled(parts: list[NDArray[Any]], rng: np.random.Generator) -> list[NDArray[Any]]:
    return [parts[k] for k in rng.integers(len(parts), size=len(parts))]


def _interval(value: float, drawn: list[float]) -> Interval:
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(value, float(low), float(high))


def object_table(recipe: Recipe) -> dict[str, dict[str, float]]:
    """Return how well a domain that was fitted to one kind of object tells each other kind apart.

    Parameters
    ----------
    recipe : Recipe
        Whose inputs are simulated.

    Returns
    -------
    dict of str to dict of str to float
        AUC against held-out inputs of the object that the domain was fitted to.
    """
    found = {name: np.stack(rows) for name, rows in kinds_of_objects(recipe)}
    table: dict[str, dict[str, float]] = {}
    for name, rows in found.items():
        split = int(TRAINED * len(rows))
        own = domain.fit_domain(*(np.concatenate(part) for part in (rows[:split], rows[split:])))
        usual = domain.judge(np.concatenate(rows[split:]), own).distances
        others = {other: domain.judge(np.concatenate(found[other][split:]), own).distances for other in found}
        table[name] = {other: auc(usual, distances) for other, distances in others.items() if other != name}
    return table
