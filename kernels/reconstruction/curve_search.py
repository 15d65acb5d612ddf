"""Search for one wire: many short pieces grow in rounds, from which the better ones go on with more effort."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..errors import UsageError
from .shadows import Shadows

__all__ = ["Candidate", "Effort", "WireSearch", "fitted_controls"]

Array = NDArray[np.float64]
Image = NDArray[np.float32]
Report = Callable[[int, int, float, str], bool]

_SPACING = 3.2  # of control points [radii of the wire]
_BEND, _TWIST = 1.2, 0.8  # standard deviations of second and third differences of control points [radii]
_TOLERANCES = (0.4, 0.2, 0.08)  # of the fit of a whole curve [radii]
_GROWING = 0.2  # tolerance of growing curves [radii]
_REACH = 4.0  # half squared standard deviations that an unexplained pixel costs
_EXPLAINED = 1.25  # of the misfit that noise alone leaves
_ABOUT = 1.6
_ROUGHLY = 4.0  # a misfit from which the attenuation is corrected
_RESTART = 4  # rounds without a better curve after which new pieces are looked for
_PIECES = 3  # from which the better one is taken
_LEVELS = (10, 16, 24, 32, 44, 60, 80, 110, 150, 200)  # control points at which the better pieces go on


@dataclass(frozen=True)
class Effort:
    """How much is tried.

    Parameters
    ----------
    seeds : int
        Short pieces that the search starts from.
    beam : int
        Variants of each that are kept at first; twice as many after each level.
    widest : int
        Most variants of each.
    repairs : int
        Most rounds in which pieces of the better curves grow again.
    cuts : int
        Pieces in each round.
    patience : int
        Rounds without a better curve after which one that is about explained is taken.

    Raises
    ------
    UsageError
        If a number is not whole, below 0, or 0 where there must be something to try.
    """

    seeds: int = 400
    beam: int = 4
    widest: int = 32
    repairs: int = 20
    cuts: int = 8
    patience: int = 3

    def __post_init__(self) -> None:
        least = {"seeds": 1, "beam": 1, "widest": 1, "repairs": 0, "cuts": 1, "patience": 0}
        for name, low in least.items():
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < low:
                raise UsageError(f"{name} of the effort is {value}; use a whole number from {low} up.")


@dataclass(frozen=True, eq=False)
class Candidate:
    """A whole curve that was fitted to the images.

    Parameters
    ----------
    controls : ndarray, shape (n, 3), float64
        Control points of its cubic B-spline [mm].
    misfit : float
        Sum of the pixels' losses, the smaller the better.
    kept : ndarray, shape (m, 3), float64, or None
        Control points of the piece of an earlier curve that it grew from.
    """

    controls: Array
    misfit: float
    kept: Array | None = None


@dataclass(eq=False)
class WireSearch:
    """The search for one wire.

    Parameters
    ----------
    shadows : Shadows
        The images and their model.
    base : ndarray, shape (pixels,), float32
        Image of the other wires.
    last : bool
        Whether nothing but this wire remains to be explained.
    effort : Effort
        How much is tried.
    threads : int
        That work on pieces; the result does not depend on them.
    calibrate : bool
        Whether the wire's attenuation is only a first guess.
    random : Generator
        Of the places where pieces are looked for.
    report : callable
        Gets steps done, steps at most, objective and stage, and tells whether to stop.
    """

    shadows: Shadows
    base: Image
    last: bool
    effort: Effort
    threads: int
    calibrate: bool
    random: np.random.Generator
    report: Report
    candidates: list[Candidate] = field(default_factory=list)
    stopped: bool = False

    @property
    def model(self) -> _native.CurveModel:
        """What the views would see."""
        return self.shadows.model

    @property
    def spacing_mm(self) -> float:
        """Distance between control points."""
        return _SPACING * self.shadows.radius_mm

    def loss(self, tolerance: float, reach: float = 0.0) -> _native.CurveLoss:
        """Return a loss with a tolerance in radii; a reach above 0 forgives what is not explained yet."""
        radius = self.shadows.radius_mm
        return _native.CurveLoss(
            tolerance=tolerance * radius * self.shadows.attenuation_per_mm,
            reach=reach,
            spacing=self.spacing_mm,
            bend=_BEND * radius,
            twist=_TWIST * radius,
        )

    def misfit(self, controls: Array) -> float:
        """Return the loss of the images: all of them for the last wire, else what this one can explain."""
        return self.misfit_of(self.base + self.model.render(controls))

    def misfit_of(self, image: Image) -> float:
        """Return the loss of an image of all wires."""
        return self.model.loss(image, self._fitting(_TOLERANCES[-1]))

    @property
    def tolerance(self) -> float:
        """Standard deviation of the model's own error in the last fit [line integral]."""
        return _TOLERANCES[-1] * self.shadows.radius_mm * self.shadows.attenuation_per_mm

    def best(self) -> Candidate | None:
        """Return the curve with the least misfit."""
        return min(self.candidates, key=lambda c: c.misfit, default=None)

    def run(self, noise: float) -> None:
        """Search until a curve leaves little more misfit than noise does, nothing better turns up, or the effort is spent."""
        self._climb()
        self._calibrate(noise)
        idle = 0
        for attempt in range(self.effort.repairs):
            best = self.best()
            if self.stopped or not self.last or best is None or best.misfit < _EXPLAINED * noise:
                return
            if idle >= self.effort.patience and best.misfit < _ABOUT * noise:
                return
            if idle and idle % _RESTART == 0:
                self._climb()
            self._repair(attempt)
            improved = self.misfits()[0] < 0.98 * best.misfit
            idle = 0 if improved else idle + 1
            if improved:
                self._calibrate(noise)

    def misfits(self) -> list[float]:
        """Return the misfits of all curves, the least first."""
        return sorted(candidate.misfit for candidate in self.candidates)

    def refine(self, controls: Array, kept: Array | None = None) -> Candidate:
        """Fit a whole curve, and remember it."""
        for tolerance in _TOLERANCES:
            controls, _ = self.model.fit(controls, self.base, self._fitting(tolerance), 15)
        found = Candidate(controls, self.misfit(controls), kept)
        self.candidates.append(found)
        return found

    def _fitting(self, tolerance: float) -> _native.CurveLoss:
        return self.loss(tolerance) if self.last else self.loss(max(tolerance, _GROWING), _REACH)

    def _search(self, beam: int, longest: int) -> _native.CurveSearch:
        seed = int(self.random.integers(2**62))
        return _native.CurveSearch(
            seeds=self.effort.seeds, beam=beam, children=3, iterations=3, patience=4, longest=longest, seed=seed
        )

    def _climb(self) -> None:
        """Let short pieces grow from level to level; the worse third stays behind at each."""
        seeds = self.model.seeds(self.base, self.loss(_GROWING, _REACH), self._search(4, 10))
        starts = [controls for controls, _ in seeds]
        beam = self.effort.beam
        ended: list[tuple[Array, float, int]] = []
        levels = self._levels()
        for level, longest in enumerate(levels):
            reached = self._grow(starts, beam, longest)
            going = [found for found in reached if len(found[0]) >= longest]
            ended += [found for found in reached if len(found[0]) < longest]
            starts = [controls for controls, _, _ in going[: max(2 * len(going) // 3, 6)]]
            beam = min(2 * beam, self.effort.widest)
            best = min((value for _, value, _ in reached), default=0.0)
            self.stopped = self.report(level + 1, len(levels) + self.effort.repairs, best, "growing")
            if self.stopped or not starts:
                break
        ended += [found for found in reached if len(found[0]) >= longest]
        for controls, _, _ in sorted(ended, key=lambda found: found[1])[:6]:
            self.refine(controls)

    def _levels(self) -> list[int]:
        """Return the levels up to the length that the images' sums tell, and a little more."""
        most = int(1.08 * self.shadows.length_mm / self.spacing_mm) + 5
        return [level for level in _LEVELS if level < most] + [most]

    def _grow(self, starts: Sequence[Array], beam: int, longest: int) -> list[tuple[Array, float, int]]:
        """Return the best of what each piece became, its objective and the piece's number, the better first."""
        loss = self.loss(_GROWING, _REACH)
        grown = self.model.grow(list(starts), self.base, loss, self._search(beam, longest), 1, self.threads)
        found = [(*states[0], index) for index, states in enumerate(grown)]
        return sorted(found, key=lambda state: state[1])

    def _repair(self, attempt: int) -> None:
        """Cut pieces out of the better curves, rather where residuals are small, and let them grow again."""
        ranked = self._distinct()
        starts = []
        for _ in range(self.effort.cuts):
            rank = min(int(self.random.geometric(0.6)) - 1, len(ranked) - 1)
            starts.append(self._cut(ranked[rank].controls))
        grown = self._grow(starts, min(4 * self.effort.beam, self.effort.widest), self._levels()[-1])
        for controls, _, start in grown[:3]:
            found = self.refine(controls, starts[start])
        levels = len(self._levels())
        self.stopped = self.report(levels + attempt + 1, levels + self.effort.repairs, found.misfit, "repairing")

    def _calibrate(self, noise: float) -> None:
        """Scale the wire's attenuation to the images once a curve explains most of them."""
        best = self.best()
        if not (self.calibrate and self.last and best and best.misfit < _ROUGHLY * noise):
            return
        drawn, measured = self.base + self.model.render(best.controls), self.shadows.measured
        weights = 1 / (self.shadows.variance + self.tolerance**2)
        self.model.attenuation *= float((weights * drawn * measured).sum() / (weights * drawn * drawn).sum())
        self.refine(best.controls)

    def _distinct(self) -> list[Candidate]:
        """Return the best curves, without those that are as good as the same."""
        ranked: list[Candidate] = []
        for candidate in sorted(self.candidates, key=lambda c: c.misfit):
            if not ranked or candidate.misfit > 1.02 * ranked[-1].misfit:
                ranked.append(candidate)
        return ranked[:4]

    def _cut(self, controls: Array) -> Array:
        """Return a piece, the one with the smallest residuals of a few."""
        under = self.shadows.residuals_under(controls, self.base + self.model.render(controls))
        count = len(controls)
        pieces = []
        for _ in range(_PIECES):
            keep = int(self.random.integers(max(count // 4, 6), max(3 * count // 4, 7)))
            first = int(self.random.integers(0, max(count - keep, 0) + 1))
            pieces.append((float(under[first : first + keep].mean()), first, keep))
        _, first, keep = min(pieces)
        return np.ascontiguousarray(controls[first : first + keep])


def fitted_controls(points_mm: Array, spacing_mm: float) -> Array:
    """Return control points of the cubic B-spline nearest to a polyline.

    Parameters
    ----------
    points_mm : ndarray, shape (n, 3), float64
        From end to end [mm].
    spacing_mm : float
        About the distance between control points [mm].

    Returns
    -------
    ndarray, shape (m, 3), float64
        Control points [mm].
    """
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points_mm, axis=0), axis=1))])
    spans = max(round(along[-1] / spacing_mm), 1)
    at = np.linspace(0, spans, 8 * spans + 1)
    points = np.stack([np.interp(at * along[-1] / spans, along, points_mm[:, k]) for k in range(3)], axis=1)
    units = np.eye(spans + 3)
    columns = [_native.spline_points(np.repeat(unit[:, None], 3, axis=1), 8)[:, 0] for unit in units]
    controls, *_ = np.linalg.lstsq(np.stack(columns, axis=1), points, rcond=None)
    return np.ascontiguousarray(controls)
