"""The most probable body: from coarse voxels to fine ones, in the box that the shadows leave."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..errors import InputError
from .camera import GammaCamera
from .geometry import Geometry, Grid
from .progress import Step, Watch
from .projection import Projector
from .quasi_newton import minimise
from .shape_likelihood import Likelihood, occupancy_of
from .shape_model import Levels, ShapeModel, box_of, shadow_of
from .shape_prior import Ellipsoid, SmoothField, Smoothness, ellipsoid_of
from .solution import ShapeSolution

__all__ = ["ShapeTask", "solve_shape"]

Image = NDArray[np.float32]

_SHARP = 0.35  # of a voxel: width of the logistic step that stands for a plane through voxels
_COARSEST_MM = 9.0
_COARSE_STEPS, _FINE_STEPS = 30, 170
_BRIGHT = 3.0  # standard deviations above the background


@dataclass(frozen=True, eq=False)
class ShapeTask:
    """What is solved.

    Parameters
    ----------
    counts, veil : tuple of ndarray, shape (rows, columns), float32
        Measured counts, and what a background of 1/mm gives; zeros without background.
    with_background : bool
        Whether background is fitted.
    projector : Projector
        Of the whole volume.
    smoothness : Smoothness
        Of the surface.
    attenuation_error, tolerance : float
        See :func:`~photopeak.kernels.reconstruction.shape.reconstruct_shape`.
    """

    counts: tuple[Image, ...]
    veil: tuple[Image, ...]
    with_background: bool
    projector: Projector
    smoothness: Smoothness
    attenuation_error: float
    tolerance: float


def solve_shape(task: ShapeTask, known: Image | None, iterations: int | None, watch: Watch | None) -> ShapeSolution:
    """Return the most probable body.

    Parameters
    ----------
    task : ShapeTask
        The views and what is believed.
    known : ndarray, shape (slices, rows, columns), float32, or None
        Occupancy to start from; then all steps are made on fine voxels.
    iterations : int or None
        At most.
    watch : callable or None
        Told of each step.
    """
    record = _Record(iterations or _COARSE_STEPS + _FINE_STEPS, watch)
    stages = _Stages.of(task)
    coarse = [] if known is not None else _coarser(task.projector.geometry)
    likelihood = stages.likelihood(coarse[0] if coarse else 1)
    numbers = likelihood.start()
    if known is not None:
        part = np.ascontiguousarray(0.5 - known[stages.levels.box.slices])
        numbers = likelihood.start(_native.signed_distance(part, task.projector.geometry.grid.spacing_mm))
    share = _COARSE_STEPS / (_COARSE_STEPS + _FINE_STEPS)
    for number, factor in enumerate([*coarse, 1]):
        if number:
            likelihood = stages.likelihood(factor)
        limit = int(record.total * share / len(coarse)) if factor > 1 else record.total - len(record.steps)
        if record.interrupted or limit < 1:
            continue
        told = record.teller(f"voxels of {min(likelihood.model.grid.spacing_mm):g} mm")
        numbers = minimise(likelihood, numbers, limit=limit, tolerance=task.tolerance, told=told).at
    return _solution(task, stages, likelihood, numbers, record)


@dataclass(frozen=True, eq=False)
class _Stages:
    """The box and what holds on all its levels."""

    task: ShapeTask
    levels: Levels
    paths: tuple[tuple[Grid, Image], ...]
    ellipsoid: Ellipsoid

    @classmethod
    def of(cls, task: ShapeTask) -> "_Stages":
        geometry = task.projector.geometry
        floors = [np.float32(_dim_level(*pair)) * pair[1] for pair in zip(task.counts, task.veil, strict=True)]
        shadows = [shadow_of(image, floor) for image, floor in zip(task.counts, floors, strict=True)]
        bodies = [
            np.maximum(image - floor, 0) * shadow
            for image, floor, shadow in zip(task.counts, floors, shadows, strict=True)
        ]
        for number, body in enumerate(bodies, start=1):
            if not body.any():
                raise InputError(
                    f"view {number} shows nothing but background; correct where background lies, or give more counts."
                )
        levels = Levels(geometry, box_of(shadows, geometry), task.projector.camera)
        return cls(task, levels, levels.paths(), ellipsoid_of(bodies, geometry))

    def likelihood(self, factor: int) -> Likelihood:
        """Return what is maximised on voxels `factor` times as large as the grid's."""
        task = self.task
        model = ShapeModel(
            self.levels,
            task.counts,
            task.veil,
            factor,
            paths=self.paths,
            threads=task.projector.threads,
            device=task.projector.device,
        )
        box, axes = self.levels.box.grid, model.grid.axes()
        reach = [size * count / 2 for size, count in zip(box.spacing_mm, box.shape, strict=True)]
        spans = [(middle - half, middle + half) for middle, half in zip(box.center_mm[::-1], reach, strict=True)]
        return Likelihood(
            model,
            SmoothField.over(axes, spans, task.smoothness),
            self.ellipsoid.level(axes),
            _SHARP * min(model.grid.spacing_mm),
            attenuation_error=task.attenuation_error,
            with_background=task.with_background,
        )


@dataclass
class _Record:
    """What the solver tells, and whether it was stopped."""

    total: int
    watch: Watch | None
    steps: list[Step] = field(default_factory=list)
    interrupted: bool = False

    def teller(self, stage: str) -> Callable[[int, float], bool]:
        """Return a function that keeps a step; True stops the solver."""

        def told(done: int, objective: float) -> bool:
            self.steps.append(Step(len(self.steps) + 1, self.total, objective, stage))
            self.interrupted = bool(self.watch and self.watch(self.steps[-1]))
            return self.interrupted

        return told


def _solution(
    task: ShapeTask, stages: _Stages, likelihood: Likelihood, numbers: Image, record: _Record
) -> ShapeSolution:
    """Return the whole volume and its views."""
    grid, inside = task.projector.geometry.grid, stages.levels.box.slices
    part = likelihood.level(numbers)
    level = np.full(grid.shape, max(float(part.max()), 1.0), np.float32)
    level[inside] = part
    occupancy = np.zeros(grid.shape, np.float32)
    occupancy[inside] = occupancy_of(part, likelihood.width_mm)
    if not (occupancy > 0.5).any():
        raise InputError(
            "no body of the size of a voxel explains the views; check the geometry, or give more slices or finer voxels."
        )
    factor = likelihood.attenuation(numbers)
    fit = likelihood.fit(likelihood.model.forward(occupancy[inside], factor))
    projector = task.projector
    if factor != 1 and projector.camera is not None:
        camera = _attenuating(projector.camera, factor)
        projector = Projector(projector.geometry, camera=camera, threads=projector.threads, device=projector.device)
    expected = tuple(
        np.asarray(np.float32(fit.activity) * image + np.float32(fit.background) * dim, np.float32)
        for image, dim in zip(projector.forward(occupancy), task.veil, strict=True)
    )
    least = np.float32(1e-3 * max(float(image.mean()) for image in task.counts))
    residuals = tuple(
        np.asarray((counts - image) / np.sqrt(np.maximum(image, least)), np.float32)
        for counts, image in zip(task.counts, expected, strict=True)
    )
    return ShapeSolution(
        grid=grid,
        distance_mm=_native.signed_distance(level, grid.spacing_mm),
        occupancy=occupancy,
        activity=fit.activity,
        background=fit.background,
        attenuation=factor,
        volume_ml=float(occupancy.sum(dtype=np.float64)) * grid.voxel_ml,
        history=tuple(record.steps),
        interrupted=record.interrupted,
        projections=expected,
        residuals=residuals,
    )


def _attenuating(camera: GammaCamera, factor: float) -> GammaCamera:
    """Return a camera with attenuation times a factor."""
    if camera.attenuation_map is not None:
        return replace(camera, attenuation_map=np.asarray(camera.attenuation_map) * factor)
    return replace(camera, mu_per_cm=camera.mu_per_cm * factor)


def _coarser(geometry: Geometry) -> list[int]:
    """Return how much coarser than the grid the first levels are, the coarsest first."""
    factors: list[int] = []
    while 2 ** (len(factors) + 1) * max(geometry.grid.spacing_mm) <= _COARSEST_MM:
        factors.insert(0, 2 ** (len(factors) + 1))
    return factors


def _dim_level(image: Image, veil: Image) -> float:
    """Return the background [1/mm] of the pixels that hold nothing else: the mean without what stands out."""
    seen = veil > 0.1 * veil.max()
    counts, shape, level = image[seen], veil[seen], 0.0
    while counts.size:
        level = float(counts.sum(dtype=np.float64) / shape.sum(dtype=np.float64))
        expected = level * shape
        dim = counts <= expected + _BRIGHT * np.sqrt(expected) + 1
        if dim.all():
            break
        counts, shape = counts[dim], shape[dim]
    return level
