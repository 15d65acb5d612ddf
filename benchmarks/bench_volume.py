"""Steps of the solvers for volumes: two orthogonal parallel views, and two cone beams.

One step of total variation (both projections, the proximal steps, the flow and the box), and one pass of MLEM. Systems
are made beforehand.
"""

import numpy as np
import pytest

from photopeak.kernels import Geometry, Grid, Projector, View
from photopeak.kernels.reconstruction.data_terms import PoissonTerm
from photopeak.kernels.reconstruction.expectation import Subset, maximise_expectation
from photopeak.kernels.reconstruction.primal_dual import PrimalDual, System, flatten

SIDES = (64, 128, 256)
FIELD_MM = 512.0


def prepare(beam, side, threads):
    """Return a system and counts of a ball."""
    voxel = FIELD_MM / side
    grid = Grid((side,) * 3, (voxel,) * 3)
    if beam == "parallel":
        geometry = Geometry.around(grid, (0, 90))
    else:
        views = [
            View.c_arm((side, side), (1.5 * voxel,) * 2, angle, 0, source_detector_mm=1500, source_isocenter_mm=1000)
            for angle in (20, 110)
        ]
        geometry = Geometry(grid, tuple(views))
    square = np.linspace(-1, 1, side, dtype=np.float32) ** 2
    ball = 0.1 * (square[:, None, None] + square[:, None] + square < 0.3).astype(np.float32)
    system = System.of(Projector(geometry, threads=threads))
    images = [np.random.default_rng(0).poisson(view).astype(np.float32) for view in system.projector.forward(ball)]
    return system, PoissonTerm(flatten(tuple(images)), system.inverse)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("beam", ["parallel", "cone"])
def bench_variation_step(measure, threads, beam, side):
    system, term = prepare(beam, side, threads)
    solver = PrimalDual(system, term, start=None, upper=np.inf, threads=threads)
    measure(lambda: solver.step(1.0))
    assert np.isfinite(solver.checked_step(1.0, rebalance=False).objective)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("beam", ["parallel", "cone"])
def bench_mlem_pass(measure, threads, beam, side):
    system, term = prepare(beam, side, threads)
    value = np.full(system.sensitivity.shape, 0.01, np.float32)
    subset = Subset(system, term)
    objectives = []

    def one_pass():
        maximise_expectation(
            [subset], value, 1, upper=np.inf, threads=threads, told=lambda done, objective: objectives.append(objective)
        )

    measure(one_pass)
    assert objectives[-1] <= objectives[0]
