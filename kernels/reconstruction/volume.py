"""Volumes of any content from a few views."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from numbers import Integral
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, UsageError
from .camera import GammaCamera
from .checks import check_views
from .data_terms import DataTerm, GaussianTerm, PoissonTerm, noise_variance
from .discrepancy import Ending, converge, converge_by_discrepancy, first_regularisation
from .expectation import Subset, interleaved, maximise_expectation
from .geometry import Geometry
from .primal_dual import PrimalDual, System, flatten, split, uniform_level
from .progress import Step, Watch
from .projection import Projector
from .solution import VolumeSolution

__all__ = ["reconstruct_volume"]

Image = NDArray[np.float32]
Method = Literal["tv", "mlem", "osem"]
Noise = Literal["poisson", "gaussian"]

_ITERATIONS = {"tv": 500, "mlem": 30, "osem": 6}
_VIEWS_OF_SUBSET = 4
_LEAST = np.float32(0.05)  # of the uniform volume, to start from: factors never leave 0


def reconstruct_volume(
    images: Sequence[NDArray[Any]],
    geometry: Geometry,
    *,
    method: Method = "tv",
    noise: Noise | None = None,
    camera: GammaCamera | None = None,
    variance: float | Sequence[NDArray[Any]] | None = None,
    regularisation: float | None = None,
    upper: float | None = None,
    iterations: int | None = None,
    tolerance: float = 5e-3,
    subsets: int | None = None,
    threads: int = 1,
    device: str = "cpu",
    start: VolumeSolution | None = None,
    watch: Watch | None = None,
) -> VolumeSolution:
    """Return the volume that explains measured views.

    Parameters
    ----------
    images : sequence of ndarray, shape (rows, columns), any real type
        One for each view: counts of a gamma camera (parallel rays), line integrals (cone beam).
    geometry : Geometry
        The volume and two or more views.
    method : {"tv", "mlem", "osem"}
        "tv": the least of half the deviance plus total variation, by the primal-dual hybrid gradient method. "mlem" and
        "osem": expectation maximisation of Poisson's likelihood with all views at once or with subsets of them, which is
        regularised by ending early.
    noise : {"poisson", "gaussian"} or None
        What the deviance is: of Poisson's likelihood, or squares over the variance. None: Poisson's for parallel rays and for
        expectation maximisation, else Gaussian.
    camera : GammaCamera or None
        Attenuation and blur of parallel views; without it a pixel is the sum along its ray.
    variance : float, sequence of ndarray, or None
        Gaussian: of the measured values, one or for each pixel. None: counts, at least 1 (parallel rays), or what the finest
        details of each image show (cone beam).
    regularisation : float or None
        Weight of the total variation, which is the sum over voxels of the length of the vector of differences to the next
        voxels, each times the smallest distance between voxels over that along its axis [mm]. None: by the discrepancy
        principle, so that the deviance is what noise alone would cause.
    upper : float or None
        No voxel may exceed it [1/mm]; None is no limit. None is ever below zero.
    iterations : int or None
        At most; None: 500 (total variation, trials of its weight included), 30 (mlem), 6 passes through all subsets (osem).
    tolerance : float
        Total variation: end when no volume can lower the objective by more than this share of it, see
        :class:`~photopeak.kernels.reconstruction.primal_dual.Certificate`.
    subsets : int or None
        Of ordered subsets; None: so many that each has about four views.
    threads : int
        How many to use. Results do not depend on it.
    device : str
        "cpu" or "cuda": where projections, and the steps of total variation, are computed; results pass through host memory.
    start : VolumeSolution or None
        Where to begin, such as the frame before; it also tells the first guess of the regularisation. Expectation maximisation,
        which never leaves zero, begins with at least a twentieth of the uniform volume.
    watch : callable or None
        Told of each step; if it returns True the solver stops.

    Returns
    -------
    VolumeSolution
        Its history holds the steps at which the objective was found: every tenth with total variation. Expectation
        maximisation tells that of the volume before the step, osem with each subset's part when it was used.

    Raises
    ------
    UsageError
        If arguments make no sense together.
    DeviceError
        If there is no GPU that runs.
    InputError
        If images cannot be used, see :func:`~photopeak.kernels.reconstruction.checks.check_views`.

    Warns
    -----
    MisfitWarning
        If the discrepancy principle finds no volume that explains the views to within their noise.

    References
    ----------
    * Rudin, Osher and Fatemi, Nonlinear total variation based noise removal algorithms, Physica D 60 (1992).
    * Sidky, Jorgensen and Pan, Convex optimization problem prototyping for image reconstruction in computed tomography with the
      Chambolle-Pock algorithm, PMB 57 (2012).

    Examples
    --------
    >>> from photopeak.kernels import Geometry, Grid, project
    >>> geometry = Geometry.around(Grid((16, 16, 16), (4.0, 4.0, 4.0)), (0, 60, 120))
    >>> ball = np.zeros((16, 16, 16), np.float32)
    >>> ball[5:11, 5:11, 5:11] = 2.0
    >>> views = [np.random.default_rng(0).poisson(view) for view in project(ball, geometry)]
    >>> solution = reconstruct_volume(views, geometry)
    >>> bool(abs(solution.values[6:10, 6:10, 6:10].mean() - 2.0) < 0.3)
    True
    """
    request = _Request(method, noise, variance, regularisation, tolerance, subsets)
    request.check(geometry)
    _check_start(start, geometry)
    limit = _whole("iterations", _ITERATIONS[method] if iterations is None else iterations)
    if upper is not None and not upper > 0:
        raise UsageError(f"upper is {upper}, which leaves no voxel anything; give a number above 0, or None.")
    measured = flatten(check_views(images, geometry))
    projector = Projector(geometry, camera=camera, threads=threads, device=device)
    system = System.of(projector)
    _check_sight(system, measured)
    problem = _Problem(system, measured, inf if upper is None else upper, limit, threads, start)
    solve = _by_total_variation if method == "tv" else _by_expectation
    return solve(request, problem, _Record(limit, watch))


@dataclass(frozen=True)
class _Request:
    """What was asked for."""

    method: Method
    noise: Noise | None
    variance: float | Sequence[NDArray[Any]] | None
    regularisation: float | None
    tolerance: float
    subsets: int | None

    def check(self, geometry: Geometry) -> None:
        """Refuse what makes no sense together."""
        if self.method not in _ITERATIONS:
            raise UsageError(f"{self.method!r} is no method; use tv, mlem or osem.")
        if self.noise not in (None, "poisson", "gaussian"):
            raise UsageError(f"{self.noise!r} is no kind of noise; use poisson or gaussian.")
        if self.method != "tv" and (self.noise == "gaussian" or self.regularisation is not None):
            raise UsageError(f"{self.method} knows neither Gaussian noise nor regularisation; use method='tv'.")
        if self.method != "osem" and self.subsets is not None:
            raise UsageError("only osem takes subsets; use method='osem', or leave them out.")
        if self.variance is not None and self.is_poisson(geometry):
            raise UsageError(
                "Poisson noise has the variance of its counts; leave out variance, or use noise='gaussian'."
            )
        if self.regularisation is not None and not 0 <= self.regularisation < inf:
            raise UsageError(f"regularisation is {self.regularisation}; give a number from 0 up, or None to choose it.")
        if not 0 < self.tolerance < 1:
            raise UsageError(f"tolerance is {self.tolerance}, a share of the objective; give a number between 0 and 1.")

    def is_poisson(self, geometry: Geometry) -> bool:
        """Whether the measured views are counts."""
        return self.noise == "poisson" or (self.noise is None and (self.method != "tv" or not geometry.cone_beam))


@dataclass(frozen=True, eq=False)
class _Problem:
    """What is solved, by whatever method."""

    system: System
    measured: Image
    upper: float
    limit: int
    threads: int
    start: VolumeSolution | None

    @property
    def geometry(self) -> Geometry:
        return self.system.projector.geometry

    def counts(self, system: System, measured: Image) -> PoissonTerm:
        """Return Poisson's data term of all views or some."""
        if measured.min() < 0:
            raise InputError(
                f"a view has the value {measured.min():g}, which counts cannot have; give views in counts, or use "
                "method='tv' with noise='gaussian'."
            )
        return PoissonTerm(measured, system.inverse)

    def solved(self, values: Image, term: DataTerm, record: "_Record", regularisation: float) -> VolumeSolution:
        """Return a solution with what the camera would see of it."""
        projector = self.system.projector
        mean = flatten(projector.forward(values))
        return VolumeSolution(
            grid=self.geometry.grid,
            values=values,
            history=tuple(record.steps),
            interrupted=record.interrupted,
            projections=split(mean, projector),
            residuals=split(term.residuals(mean), projector),
            regularisation=regularisation,
        )


@dataclass
class _Record:
    """What a solver tells, and whether it was stopped."""

    total: int
    watch: Watch | None
    steps: list[Step] = field(default_factory=list)
    interrupted: bool = False

    def told(self, done: int, objective: float, stage: str) -> bool:
        """Keep a step; True stops the solver."""
        self.steps.append(Step(done, self.total, objective, stage))
        self.interrupted = bool(self.watch and self.watch(self.steps[-1]))
        return self.interrupted


def _by_total_variation(request: _Request, problem: _Problem, record: _Record) -> VolumeSolution:
    system, start = problem.system, problem.start
    if request.is_poisson(problem.geometry):
        term: DataTerm = problem.counts(system, problem.measured)
    else:
        term = GaussianTerm(problem.measured, system.inverse, _variance(request.variance, problem))
    solver = PrimalDual(
        system, term, start=None if start is None else start.values, upper=problem.upper, threads=problem.threads
    )
    ending = Ending(problem.limit, request.tolerance)
    regularisation = request.regularisation
    if regularisation is not None:
        converge(solver, regularisation, ending, lambda done, found: record.told(done, found.objective, "solving"))
    else:
        known = start.regularisation if start is not None else 0.0
        first = known or first_regularisation(system, term)
        regularisation = converge_by_discrepancy(
            solver, first, ending, lambda done, found, stage: record.told(done, found.objective, stage)
        )
    return problem.solved(solver.feasible(), term, record, regularisation)


def _by_expectation(request: _Request, problem: _Problem, record: _Record) -> VolumeSolution:
    system, count = problem.system, len(problem.geometry.views)
    term = problem.counts(system, problem.measured)
    if request.method == "mlem":
        subsets = [Subset(system, term)]
    else:
        wanted = _whole("subsets", max(count // _VIEWS_OF_SUBSET, 1) if request.subsets is None else request.subsets)
        if wanted > count:
            raise UsageError(f"there are {wanted} subsets for {count} views; give at most one for each view.")
        subsets = [_subset(problem, views) for views in interleaved(count, wanted)]
    values = np.full(problem.geometry.grid.shape, min(uniform_level(system, term), problem.upper), np.float32)
    if problem.start is not None:
        values = np.maximum(problem.start.values, _LEAST * values)
    values[system.sensitivity <= 0] = 0
    maximise_expectation(
        subsets,
        values,
        problem.limit,
        upper=problem.upper,
        threads=problem.threads,
        told=lambda done, objective: record.told(done, objective, "iterating"),
    )
    return problem.solved(values, term, record, 0.0)


def _subset(problem: _Problem, numbers: list[int]) -> Subset:
    whole = problem.system.projector
    views = whole.geometry.views
    part = Geometry(problem.geometry.grid, tuple(views[number] for number in numbers))
    system = System.of(Projector(part, camera=whole.camera, threads=problem.threads, device=whole.device))
    images = split(problem.measured, whole)
    return Subset(system, problem.counts(system, flatten(tuple(images[number] for number in numbers))))


def _variance(given: float | Sequence[NDArray[Any]] | None, problem: _Problem) -> Image:
    """Return the variance of each pixel."""
    measured, projector = problem.measured, problem.system.projector
    if given is None and not problem.geometry.cone_beam:
        return np.maximum(measured, 1)
    images = split(measured, projector)
    if given is None:
        parts = [np.full(image.shape, noise_variance(image), np.float32) for image in images]
    elif isinstance(given, int | float | np.number):
        parts = [np.full(image.shape, float(given), np.float32) for image in images]
    else:
        parts = [np.asarray(part, np.float32) for part in given]
        if [part.shape for part in parts] != [image.shape for image in images]:
            raise UsageError("the variances do not fit the images; give one array of the same shape for each view.")
    found = flatten(tuple(parts))
    if not (np.isfinite(found).all() and found.min() > 0):
        raise UsageError(f"a pixel has the variance {found.min():g}; give variance, finite and above 0.")
    return found


def _check_sight(system: System, measured: Image) -> None:
    """Refuse views beside the volume, and an object there."""
    for number, seen in enumerate(split(system.inverse, system.projector), start=1):
        if not seen.any():
            raise UsageError(f"view {number} misses the volume; correct the geometry.")
    if not measured[system.inverse > 0].any():
        raise InputError("the views show nothing where the volume is; correct the geometry, or give a larger volume.")


def _check_start(start: VolumeSolution | None, geometry: Geometry) -> None:
    if start is not None and start.values.shape != geometry.grid.shape:
        raise UsageError(
            f"the solution to start from has {start.values.shape} voxels and the geometry {geometry.grid.shape}; give one "
            "of the same grid."
        )


def _whole(name: str, value: int) -> int:
    if not isinstance(value, Integral) or value < 1:
        raise UsageError(f"{name} is {value}; use a whole number from 1 up.")
    return int(value)
