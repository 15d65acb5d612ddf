"""Wires in a sac from two or more cone-beam views."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..errors import DeviceError, UsageError
from .certainty import rate_points
from .checks import check_views
from .curve_search import Candidate, Effort, WireSearch, fitted_controls
from .geometry import Geometry
from .progress import Step, Watch
from .shadows import Region, Shadows, read_shadows
from .solution import Curve, CurveSolution

__all__ = ["reconstruct_curve"]

Array = NDArray[np.float64]
Image = NDArray[np.float32]

_SAMPLES = 8  # points of a centreline between control points
_EXPLAINED = 1.6  # of the misfit that noise alone leaves
_LEAST_WIRE = 12.0  # what is left must be as long for another wire to be looked for [radii]
_MOST_WIRES = 8


def reconstruct_curve(
    images: Sequence[NDArray[Any]],
    geometry: Geometry,
    *,
    radius_mm: float,
    region: Region | None = None,
    wires: int | None = 1,
    attenuation_per_mm: float | None = None,
    photons: float | None = None,
    effort: Effort | None = None,
    threads: int = 1,
    device: str = "cpu",
    seed: int = 0,
    start: CurveSolution | None = None,
    watch: Watch | None = None,
) -> CurveSolution:
    """Return the centrelines of wires of known radius whose shadows fit the views.

    Thickness is additive, so a piece of wire at its right place explains some pixels exactly and none too much, even where
    others cross it. Hundreds of short pieces are fitted where all views allow one. They grow at whichever end is easier, each
    with several variants; in rounds the worse pieces stay behind and the better go on with more variants. Whole curves, cubic
    B-splines, are fitted to the images by the Levenberg-Marquardt method. If more is left than noise explains, pieces of the
    best curve grow again.

    Parameters
    ----------
    images : sequence of ndarray, shape (rows, columns), any real type
        Line integrals, after the logarithm, one for each view [1].
    geometry : Geometry
        Cone-beam views; of the volume only its middle counts.
    radius_mm : float
        Of the wires [mm].
    region : Region, optional
        A sphere that holds all wires; without one, what the shadows cover.
    wires : int or None, default 1
        How many there are; None: as many as the images need.
    attenuation_per_mm : float, optional
        Of the wire [1/mm]; without it, from the ridges of the images.
    photons : float, optional
        Mean number that a pixel counts where nothing is in the way; without it, from the noise of the background.
    effort : Effort, optional
        How much is tried.
    threads : int, default 1
        That may work at once; the result does not depend on them.
    device : str, default "cpu"
        Only the CPU is served.
    seed : int, default 0
        Of the places where pieces are looked for.
    start : CurveSolution, optional
        The frame before; its curves are fitted first, and if they explain the images nothing is searched.
    watch : callable, optional
        Is told of each step, and stops the search by returning True.

    Returns
    -------
    CurveSolution
        Wires, the longest first. Where certainty is low, the views do not tell where the wire runs.

    Raises
    ------
    UsageError
        If rays are parallel, a number makes no sense, or pixels are too coarse.
    InputError
        If images do not fit the geometry, or show no wire.
    DeviceError
        If another device than the CPU is asked for.

    References
    ----------
    * D. Marquardt, "An algorithm for least-squares estimation of nonlinear parameters", J. SIAM 11, 1963.
    * K. Jamieson and A. Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", AISTATS 2016:
      successive halving.

    Examples
    --------
    >>> from photopeak.exporters.phantoms.coils import biplane, random_coil, simulate_views
    >>> geometry, coil = biplane(), random_coil(0, loops=1)
    >>> solution = reconstruct_curve(simulate_views(coil, geometry), geometry, radius_mm=0.25)
    >>> len(solution.curves), abs(solution.curves[0].length_mm - coil.length_mm) < 1
    (1, True)
    """
    _check(geometry, radius_mm, wires, threads, device)
    for name, value in (("attenuation_per_mm", attenuation_per_mm), ("photons", photons)):
        if value is not None and not 0 < value < np.inf:
            raise UsageError(f"{name} of {value} makes no sense; give a number above 0.")
    if not isinstance(seed, Integral) or seed < 0:
        raise UsageError(f"a seed of {seed} makes no sense; give a whole number from 0 up.")
    checked = check_views(images, geometry)
    shadows, _ = read_shadows(
        checked, geometry, radius_mm, region=region, attenuation_per_mm=attenuation_per_mm, photons=photons
    )
    run = _Run(
        shadows, wires, effort or Effort(), threads, attenuation_per_mm is None, np.random.default_rng(seed), watch
    )
    if start is not None:
        run.follow(start)
    run.search()
    return run.solution(checked, geometry)


def _check(geometry: Geometry, radius_mm: float, wires: int | None, threads: int, device: str) -> None:
    if not geometry.cone_beam:
        raise UsageError("wires are looked for in cone-beam views only; give each view its focal spot.")
    if not 0 < radius_mm < np.inf:
        raise UsageError(f"a wire of radius {radius_mm} mm cannot be seen; give a radius above 0.")
    if wires is not None and not (isinstance(wires, Integral) and 1 <= wires <= _MOST_WIRES):
        raise UsageError(f"{wires} wires cannot be looked for; give 1 to {_MOST_WIRES}, or None.")
    if not isinstance(threads, Integral) or threads < 1:
        raise UsageError(f"{threads} threads do no work; give 1 or more.")
    if device != "cpu":
        raise DeviceError(f"wires are not searched on {device!r}; use the CPU.")


@dataclass(eq=False)
class _Run:
    """One call: wires that were found so far, other curves that were met, and what was told."""

    shadows: Shadows
    wires: int | None
    effort: Effort
    threads: int
    calibrate: bool
    random: np.random.Generator
    watch: Watch | None
    found: list[Array] = field(default_factory=list)
    rivals: list[list[Candidate]] = field(default_factory=list)
    history: list[Step] = field(default_factory=list)
    interrupted: bool = False

    @property
    def most(self) -> int:
        """How many wires may be found."""
        return self.wires or _MOST_WIRES

    def follow(self, start: CurveSolution) -> None:
        """Fit the curves of the frame before; keep them if they explain this one."""
        curves = [fitted_controls(curve.points_mm, self._search().spacing_mm) for curve in start.curves[: self.most]]
        self.found, self.rivals = curves, [[] for _ in curves]
        self._settle(2)
        if self._left() > _LEAST_WIRE or self._misfit() > _EXPLAINED * self._floor():
            self.found, self.rivals = [], []

    def search(self) -> None:
        """Find one wire after the other, then fit them together."""
        while len(self.found) < self.most and not self.interrupted:
            if self.found and self._left() < _LEAST_WIRE:
                break
            search = self._search()
            search.run(self._floor())
            self.interrupted = search.stopped
            best = search.best()
            if best is None:
                break
            self.found.append(best.controls)
            self.rivals.append(search.candidates)
        if len(self.found) > 1:
            self._settle(3)

    def solution(self, images: Sequence[Image], geometry: Geometry) -> CurveSolution:
        """Return what was found."""
        image = self._image()
        curves = []
        for index, controls in enumerate(self.found):
            rated = rate_points(
                controls, self.rivals[index], self.shadows, image, self._search(index), self._floor(), _SAMPLES
            )
            curves.append(Curve(_native.spline_points(controls, _SAMPLES), self.shadows.radius_mm, rated))
        residual = (self.shadows.measured - image) / np.sqrt(self.shadows.variance)
        return CurveSolution(
            curves=tuple(sorted(curves, key=lambda curve: -curve.length_mm)),
            history=tuple(self.history),
            interrupted=self.interrupted,
            projections=self.shadows.split(image, geometry.views),
            residuals=self.shadows.split(residual.astype(np.float32), geometry.views),
        )

    def _search(self, index: int | None = None) -> WireSearch:
        last = len(self.found) + 1 >= self.most if index is None else True
        return WireSearch(
            self.shadows, self._image(index), last, self.effort, self.threads, self.calibrate, self.random, self._report
        )

    def _image(self, without: int | None = None) -> Image:
        """Return what the views see of the wires, all but one."""
        total = np.zeros_like(self.shadows.measured)
        for index, controls in enumerate(self.found):
            if index != without:
                total += self.shadows.model.render(controls)
        return total

    def _settle(self, rounds: int) -> None:
        """Fit each wire while the others stay, several times."""
        for _ in range(rounds):
            for index, controls in enumerate(self.found):
                self.found[index] = self._search(index).refine(controls).controls

    def _left(self) -> float:
        """Return how much wire the images hold that was not found [radii]."""
        known = sum(
            float(np.linalg.norm(np.diff(_native.spline_points(c, 4), axis=0), axis=1).sum()) for c in self.found
        )
        return (self.shadows.length_mm - known) / self.shadows.radius_mm

    def _misfit(self) -> float:
        return self._search(-1).misfit_of(self._image())

    def _floor(self) -> float:
        """Return the misfit that noise alone leaves."""
        variance = self.shadows.variance
        return float(0.5 * (variance / (variance + self._search().tolerance ** 2)).sum())

    def _report(self, done: int, total: int, objective: float, stage: str) -> bool:
        before = self.history[-1].done if self.history else 0
        step = Step(before + 1, max(before + 1, total * (len(self.found) + 1)), objective, stage)
        self.history.append(step)
        return bool(self.watch and self.watch(step))
