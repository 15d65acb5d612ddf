"""Volumes from few views: total variation beside expectation maximisation, at the same counts.

Views are projected from voxels of half the size onto pixels of half the size and then binned, so that no solver meets its own
model. The error is the root of the mean square over all voxels, in percent of the root mean square of the truth.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ...kernels.reconstruction.data_terms import PoissonTerm, expected_deviance
from ...kernels.reconstruction.expectation import Subset, interleaved, maximise_expectation
from ...kernels.reconstruction.geometry import Geometry, Grid
from ...kernels.reconstruction.primal_dual import System, flatten, uniform_level
from ...kernels.reconstruction.projection import Projector
from ...kernels.reconstruction.volume import reconstruct_volume
from ..phantoms import volumes
from ..phantoms.bone_volumes import bone_lesions
from .metrics import Interval, bootstrap

__all__ = ["OBJECTS", "Case", "Errors", "Summary", "as_markdown", "draw", "measure", "study"]

Image = NDArray[np.float32]

_PASSES = 100
_PATIENCE = 5  # passes without a smaller error until the best is known
_FILTERS_PX = (0.7, 1.0, 1.4, 2.0)
_VIEWS_OF_SUBSET, _MOST_SUBSETS = 3, 4
_DIAGONAL = 1.45  # of a slice, so that no view is cut
_ARC = 180.0  # without attenuation, opposite views see the same
Draw = Callable[[volumes.Grid, np.random.Generator], volumes.Volume]
# How to draw it, voxels along and across the axis, and their size [mm].
OBJECTS: dict[str, tuple[Draw, int, int, float]] = {
    "derenzo": (lambda grid, rng: volumes.derenzo(grid), 12, 128, 2.0),
    "jaszczak": (lambda grid, rng: volumes.jaszczak(grid), 64, 64, 4.0),
    "bone lesions": (bone_lesions, 64, 64, 4.0),
}


@dataclass(frozen=True, eq=False)
class Case:
    """One acquisition.

    Parameters
    ----------
    geometry : Geometry
        Voxels and views.
    images : tuple of ndarray, shape (rows, columns), float32
        Counts.
    truth : ndarray, shape (slices, rows, columns), float32
        What is sought, in the unit of the views per mm.
    """

    geometry: Geometry
    images: tuple[Image, ...]
    truth: Image

    def error(self, volume: Image) -> float:
        """Return the root mean square error in percent of the root mean square of the truth."""
        difference = np.square(volume - self.truth, dtype=np.float64).mean()
        return 100 * float(np.sqrt(difference / np.square(self.truth, dtype=np.float64).mean()))


@dataclass(frozen=True)
class Errors:
    """What each method made of one acquisition [%].

    Parameters
    ----------
    tv : float
        Total variation, regularised by the discrepancy principle, which does not know the truth.
    mlem, osem : float
        Expectation maximisation after the pass that the truth shows to be the best; NaN where there are too few views.
    filtered : float
        MLEM with the best number of passes and the best Gaussian filter of those tried; the truth chooses both.
    passes : int
        Of MLEM at its best.
    steps : int
        Of the solver for total variation, trials of its regularisation included.
    discrepancy : float
        What its deviance is of what noise alone causes [1].
    """

    tv: float
    mlem: float
    osem: float
    filtered: float
    passes: int
    steps: int
    discrepancy: float


@dataclass(frozen=True)
class Summary:
    """Errors over several acquisitions of one object."""

    name: str
    views: int
    counts: float
    errors: tuple[Errors, ...]

    def interval(self, method: str) -> Interval:
        """Return the mean error of a method."""
        return bootstrap(np.array([getattr(errors, method) for errors in self.errors]))

    def gain(self, method: str) -> Interval:
        """Return by how much less the error of total variation is than that of another method, pair by pair [%]."""
        pairs = [(errors.tv, getattr(errors, method)) for errors in self.errors]
        return bootstrap(np.array([100 * (1 - tv / other) for tv, other in pairs]))


def draw(name: str, views: int, counts: float, seed: int) -> Case:
    """Return an acquisition of an object with so many counts in all views together.

    Examples
    --------
    >>> case = draw("derenzo", 2, 1e5, 0)
    >>> bool(abs(sum(image.sum() for image in case.images) / 1e5 - 1) < 0.02)
    True
    """
    rng = np.random.default_rng([seed, views, int(counts)])
    shape = np.random.default_rng(seed)
    paint, slices, side, voxel_mm = OBJECTS[name]
    fine = paint(volumes.Grid((2 * slices, 2 * side, 2 * side), voxel_mm / 2), shape).activity
    angles = [_ARC * view / views for view in range(views)]
    geometries = [
        Geometry.around(
            Grid((factor * slices, factor * side, factor * side), (voxel_mm / factor,) * 3),
            angles,
            shape=(factor * slices, factor * round(_DIAGONAL * side)),
            spacing_mm=(voxel_mm / factor,) * 2,
        )
        for factor in (1, 2)
    ]
    seen = [_binned(view) for view in Projector(geometries[1]).forward(fine)]
    scale = np.float32(counts / sum(float(view.sum(dtype=np.float64)) for view in seen))
    images = tuple(rng.poisson(view * scale).astype(np.float32) for view in seen)
    coarse = fine.reshape(slices, 2, side, 2, side, 2).mean(axis=(1, 3, 5))
    return Case(geometries[0], images, np.asarray(coarse * scale, np.float32))


def measure(case: Case, threads: int = 1) -> Errors:
    """Reconstruct an acquisition with every method."""
    solution = reconstruct_volume(case.images, case.geometry, threads=threads)
    measured, mean = flatten(case.images), flatten(solution.projections)
    half = PoissonTerm(measured, (mean > 0).astype(np.float32)).value(mean)
    count = len(case.geometry.views)
    mlem, filtered, passes = _best(case, [list(range(count))], threads)
    subsets = min(count // _VIEWS_OF_SUBSET, _MOST_SUBSETS)
    osem = _best(case, interleaved(count, subsets), threads)[0] if subsets > 1 else float("nan")
    return Errors(
        case.error(solution.values),
        mlem,
        osem,
        filtered,
        passes,
        solution.history[-1].done,
        2 * half / float(expected_deviance(mean).sum()),
    )


def study(
    names: Sequence[str],
    views: Sequence[int],
    counts: Sequence[float],
    seeds: int,
    say: Callable[[str], None],
    *,
    threads: int = 1,
) -> Iterator[Summary]:
    """Yield the errors of every object, number of views and count level."""
    for name in names:
        for number in views:
            for level in counts:
                errors = tuple(measure(draw(name, number, level, seed), threads) for seed in range(seeds))
                summary = Summary(name, number, level, errors)
                say(_row(summary))
                yield summary


def as_markdown(summaries: Sequence[Summary]) -> str:
    """Return the table."""
    head = (
        "| object | views | counts | TV, discrepancy [%] | MLEM, best pass | OSEM, best pass | MLEM, best pass and filter "
        "| TV's error less than MLEM's by | than filtered MLEM's by |\n|---|---|---|---|---|---|---|---|---|"
    )
    return "\n".join([head, *(_row(summary) for summary in summaries)])


def _row(summary: Summary) -> str:
    osem = "-" if np.isnan(summary.errors[0].osem) else _shown(summary.interval("osem"))
    parts = [_shown(summary.interval(method)) for method in ("tv", "mlem")]
    parts += [osem, _shown(summary.interval("filtered"))]
    parts += [_shown(summary.gain(method)) + " %" for method in ("mlem", "filtered")]
    return f"| {summary.name} | {summary.views} | {summary.counts:.0e} | " + " | ".join(parts) + " |"


def _shown(found: Interval) -> str:
    return f"{found.mean:.1f} ({found.low:.1f} to {found.high:.1f})"


def _binned(view: Image) -> Image:
    """Return the mean of pixels two by two: what a ray of a larger pixel sees."""
    rows, columns = view.shape
    return np.asarray(view.reshape(rows // 2, 2, columns // 2, 2).mean(axis=(1, 3)), np.float32)


def _best(case: Case, groups: Sequence[Sequence[int]], threads: int) -> tuple[float, float, int]:
    """Return the least errors over passes, without and with a filter, and the pass of the first."""
    subsets = [_subset(case, views, threads) for views in groups]
    whole = _subset(case, range(len(case.images)), threads)
    value = np.full(case.truth.shape, uniform_level(whole.system, whole.term), np.float32)
    plain: list[float] = []
    smooth: list[float] = []

    def told(done: int, objective: float) -> bool:
        plain.append(case.error(value))
        smooth.append(min(case.error(gaussian_filter(value, width)) for width in _FILTERS_PX))
        return min(done - 1 - int(np.argmin(errors)) for errors in (plain, smooth)) >= _PATIENCE

    maximise_expectation(subsets, value, _PASSES, upper=np.inf, threads=threads, told=told)
    return min(plain), min(*plain, *smooth), int(np.argmin(plain)) + 1


def _subset(case: Case, views: Sequence[int], threads: int) -> Subset:
    part = Geometry(case.geometry.grid, tuple(case.geometry.views[view] for view in views))
    system = System.of(Projector(part, threads=threads))
    return Subset(system, PoissonTerm(flatten(tuple(case.images[view] for view in views)), system.inverse))
