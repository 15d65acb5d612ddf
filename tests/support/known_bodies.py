"""Reconstructions that are known in closed form: a ball, the same as a volume, and a helix with a ring."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photopeak.engine.reconstruction.measured import Measured
from photopeak.engine.reconstruction.result import Reconstruction, Settings
from photopeak.kernels.reconstruction.geometry import Geometry, Grid, View
from photopeak.kernels.reconstruction.progress import Step
from photopeak.kernels.reconstruction.solution import Curve, CurveSolution, ShapeSolution, VolumeSolution

__all__ = ["BALL_ML", "ball", "ball_views", "blob", "coil", "coil_views", "grid", "helix", "reconstruction"]

Image = NDArray[np.float32]

CENTER = (3.0, 7.0, -5.0)
RADIUS = 30.0
BALL_ML = 4e-3 / 3 * np.pi * RADIUS**3
HISTORY = tuple(Step(i + 1, 8, 1000 / (i + 1) + 50, "fit") for i in range(8))


def grid() -> Grid:
    """Return voxels of unequal sides, so that a swap of axes shows."""
    return Grid((44, 26, 34), (2.0, 4.0, 3.0), (1.0, 5.0, -4.0))


@lru_cache(maxsize=1)
def ball_views() -> Measured:
    """Return the exact projections of the ball along y and x with Poisson noise."""
    views = tuple(
        View.gamma_camera((44, n), (2.0, s), a, isocenter_mm=(1.0, 5.0, -4.0))
        for n, s, a in ((34, 3.0, 0), (26, 4.0, 90))
    )
    images = tuple(np.random.default_rng(i).poisson(view).astype(np.float32) for i, view in enumerate(_chords()))
    facts = (("Shift of view 2", "1.2 mm, from the data"),)
    return Measured(images, Geometry(grid(), views), "nm", (Path("a.npy"), Path("b.npy")), facts=facts)


@lru_cache(maxsize=1)
def ball() -> ShapeSolution:
    """Return a ball of 113.1 ml that is not in the middle of its grid."""
    z, y, x = np.meshgrid(*grid().axes(), indexing="ij")
    radius = np.sqrt((x - CENTER[0]) ** 2 + (y - CENTER[1]) ** 2 + (z - CENTER[2]) ** 2)
    distance = (radius - RADIUS).astype(np.float32)
    projections = _chords()
    residuals = [(seen - view) / np.sqrt(view) for seen, view in zip(ball_views().images, projections, strict=True)]
    return ShapeSolution(
        grid=grid(),
        distance_mm=distance,
        occupancy=np.clip(0.5 - distance / np.prod(grid().spacing_mm) ** (1 / 3), 0, 1).astype(np.float32),
        activity=2.0,
        background=0.0,
        volume_ml=BALL_ML,
        history=HISTORY,
        interrupted=False,
        projections=projections,
        residuals=tuple(np.asarray(one, np.float32) for one in residuals),
    )


def blob() -> VolumeSolution:
    """Return the ball as a volume of activity whose solver was interrupted."""
    found = ball()
    return VolumeSolution(
        grid=found.grid,
        values=2 * found.occupancy,
        history=HISTORY,
        interrupted=True,
        projections=found.projections,
        residuals=found.residuals,
        regularisation=0.02,
    )


def helix() -> tuple[Curve, Curve]:
    """Return two turns of radius 2 mm and pitch 1.2 mm, and half a ring; the middle of the turns is not decided."""
    t = np.linspace(0, 4 * np.pi, 241)
    turns = np.stack([2 * np.cos(t), 2 * np.sin(t), 1.2 * t / (2 * np.pi) - 1.2], axis=1)
    ring = np.stack([1.5 * np.cos(t[:61]), np.zeros(61), 1.5 * np.sin(t[:61]) + 1.5], axis=1)
    certainty = np.where(np.abs(np.linspace(-1, 1, 241)) < 0.2, 0.2, 0.95).astype(np.float32)
    return Curve(turns, 0.25, certainty), Curve(ring, 0.25, np.ones(61, np.float32))


@lru_cache(maxsize=1)
def coil_views() -> Measured:
    """Return what a C-arm sees of the helix, roughly, with noise."""
    shape = (64, 80)
    views = tuple(
        View.c_arm(shape, (0.2, 0.2), primary, secondary, source_detector_mm=1100, source_isocenter_mm=750)
        for primary, secondary in ((-30, 10), (60, 0))
    )
    noise = [np.random.default_rng(i).normal(0, 0.03, shape) for i in range(2)]
    images = tuple((_drawn(view) + one).astype(np.float32) for view, one in zip(views, noise, strict=True))
    voxels = Grid((32, 32, 32), (0.2, 0.2, 0.2))
    return Measured(images, Geometry(voxels, views), "xa", (Path("a.npy"), Path("b.npy")))


def coil() -> CurveSolution:
    """Return the helix as what a solver found in :func:`coil_views`."""
    measured = coil_views()
    projections = tuple(_drawn(view) for view in measured.geometry.views)
    residuals = [(seen - view) / 0.03 for seen, view in zip(measured.images, projections, strict=True)]
    return CurveSolution(
        curves=helix(),
        history=HISTORY,
        interrupted=False,
        projections=projections,
        residuals=tuple(np.asarray(one, np.float32) for one in residuals),
    )


def reconstruction(method: str, **changes: Any) -> Reconstruction:
    """Return ``shape``, ``volume`` or ``curve``; `changes` replace fields of the reconstruction."""
    measured, solution = {
        "shape": (ball_views(), ball()),
        "volume": (ball_views(), blob()),
        "curve": (coil_views(), coil()),
    }[method]
    return replace(Reconstruction(measured, Settings(), method, solution, 1.7), **changes)  # type: ignore[arg-type]


def _chords() -> tuple[Image, Image]:
    """Return twice the lengths of the rays through the ball, plus 1."""
    z, y, x = grid().axes()
    found = []
    for across, middle in ((x, CENTER[0]), (y, CENTER[1])):
        square = RADIUS**2 - (z[::-1, None] - CENTER[2]) ** 2 - (across[None] - middle) ** 2
        found.append(np.asarray(4 * np.sqrt(np.maximum(square, 0)) + 1, np.float32))
    return found[0], found[1]


def _drawn(view: View) -> Image:
    """Return the pixels that the helix's points fall into."""
    image = np.zeros(view.shape, np.float32)
    for curve in helix():
        rows, columns = np.rint(view.project(curve.points_mm)).astype(int).T
        image[rows, columns] = 0.3
    return image
