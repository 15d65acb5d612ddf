"""Solutions that are known in closed form: a ball, and a helix in a sac."""

import numpy as np
import pytest

from photopeak.kernels.reconstruction.geometry import Grid
from photopeak.kernels.reconstruction.progress import Step
from photopeak.kernels.reconstruction.solution import Curve, CurveSolution, ShapeSolution, VolumeSolution

CENTER = (3.0, 7.0, -5.0)
RADIUS = 30.0


def distance_to(center, grid):
    z, y, x = np.meshgrid(*grid.axes(), indexing="ij")
    return np.sqrt((x - center[0]) ** 2 + (y - center[1]) ** 2 + (z - center[2]) ** 2)


@pytest.fixture(scope="session")
def grid():
    """Return voxels of unequal sides, so that a swap of axes shows."""
    return Grid((44, 26, 34), (2.0, 4.0, 3.0), (1.0, 5.0, -4.0))


@pytest.fixture(scope="session")
def history():
    return tuple(Step(i + 1, 8, 1000 / (i + 1) + 50, "fit") for i in range(8))


@pytest.fixture(scope="session")
def ball(grid, history):
    """Return a ball of 113.1 ml with its outline, its exact projections along y and x, and Poisson counts of them."""
    distance = (distance_to(CENTER, grid) - RADIUS).astype(np.float32)
    occupancy = np.clip(0.5 - distance / np.prod(grid.spacing_mm) ** (1 / 3), 0, 1).astype(np.float32)
    z, y, x = grid.axes()
    chords = [
        2 * np.sqrt(np.maximum(RADIUS**2 - (z[:, None] - CENTER[2]) ** 2 - (across[None] - middle) ** 2, 0))
        for across, middle in ((x, CENTER[0]), (y, CENTER[1]))
    ]
    projections = tuple(np.asarray(2.0 * chord[::-1] + 1.0, np.float32) for chord in chords)
    counts = [np.random.default_rng(i).poisson(view) for i, view in enumerate(projections)]
    residuals = tuple(
        ((seen - view) / np.sqrt(view)).astype(np.float32) for seen, view in zip(counts, projections, strict=True)
    )
    return ShapeSolution(
        grid=grid,
        distance_mm=distance,
        occupancy=occupancy,
        activity=2.0,
        background=0.0,
        volume_ml=4e-3 / 3 * np.pi * RADIUS**3,
        history=history,
        interrupted=False,
        projections=projections,
        residuals=residuals,
    )


@pytest.fixture(scope="session")
def blob(ball, history):
    """Return the ball as a volume of activity."""
    return VolumeSolution(
        grid=ball.grid,
        values=2 * ball.occupancy,
        history=history,
        interrupted=True,
        projections=ball.projections,
        residuals=ball.residuals,
        regularisation=0.02,
    )


@pytest.fixture(scope="session")
def helix():
    """Return two turns of radius 2 mm, pitch 1.2 mm, and half a ring; where two views do not decide, they say so."""
    t = np.linspace(0, 4 * np.pi, 241)
    turns = np.stack([2 * np.cos(t), 2 * np.sin(t), 1.2 * t / (2 * np.pi) - 1.2], axis=1)
    ring = np.stack([1.5 * np.cos(t[:61]), np.zeros(61), 1.5 * np.sin(t[:61]) + 1.5], axis=1)
    certainty = np.where(np.abs(np.linspace(-1, 1, 241)) < 0.2, 0.2, 0.95).astype(np.float32)
    return Curve(turns, 0.25, certainty), Curve(ring, 0.25, np.ones(61, np.float32))


@pytest.fixture(scope="session")
def coil(helix, history):
    views = tuple(np.zeros((32, 40), np.float32) for _ in range(2))
    return CurveSolution(curves=helix, history=history, interrupted=False, projections=views, residuals=views)
