"""Volumes from a few views: what is known about the solutions, whatever the solver."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import minimize

from photopeak.kernels import GammaCamera, Geometry, Grid, View, project, reconstruct_volume
from photopeak.kernels.errors import InputError, UsageError
from photopeak.kernels.reconstruction.data_terms import PoissonTerm
from photopeak.kernels.reconstruction.discrepancy import MisfitWarning
from photopeak.kernels.reconstruction.expectation import interleaved
from photopeak.kernels.reconstruction.primal_dual import PrimalDual, System
from photopeak.kernels.reconstruction.projection import Projector

ANGLES = (0, 45, 90, 135)


def phantom(n=16):
    """Return a ball with a hotter one inside, activity per mm."""
    z, y, x = np.meshgrid(*[np.arange(n) - (n - 1) / 2] * 3, indexing="ij")
    ball = (np.hypot(np.hypot(x, y), z) < 0.38 * n).astype(np.float32)
    return ball + 3 * (np.hypot(np.hypot(x - 0.1 * n, y), z) < 0.15 * n).astype(np.float32)


def measured(counts, angles=ANGLES, n=16, seed=0):
    """Return a geometry, counts in its views, and the volume behind them."""
    geometry = Geometry.around(Grid((n, n, n), (4.0, 4.0, 4.0)), angles)
    volume = phantom(n)
    views = project(volume, geometry)
    scale = counts / sum(float(view.sum()) for view in views)
    rng = np.random.default_rng(seed)
    return geometry, [rng.poisson(view * scale).astype(np.float32) for view in views], volume * np.float32(scale)


def deviance(solution, images):
    """Return that of Poisson's likelihood."""
    total = 0.0
    for image, mean in zip(images, solution.projections, strict=True):
        logs = np.where(image > 0, image * np.log(np.maximum(image, 1) / np.maximum(mean, 1e-9)), 0)
        total += 2 * float((mean - image + logs).sum(dtype=np.float64))
    return total


def test_tv_of_a_row_is_two_runs_moves_them_together():
    """Two views of a row of voxels and one along it, which keeps its sum."""
    grid = Grid((1, 1, 8), (1.0, 1.0, 1.0))
    view = View((1, 8), (1.0, 1.0), (0.0, -9.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, -1.0))
    other = replace(view, center_mm=(0.0, 9.0, 0.0), right=(-1.0, 0.0, 0.0))
    side = View((1, 3), (1.0, 1.0), (-9.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, -1.0))
    row = np.array([[1, 1, 1, 1, 3, 3, 3, 3]], np.float32)
    geometry = Geometry(grid, (view, other, side))
    images = [row, row[:, ::-1], np.array([[0, row.sum(), 0]])]
    solution = reconstruct_volume(
        images, geometry, noise="gaussian", variance=1.0, regularisation=0.8, tolerance=1e-6, iterations=5000
    )
    # Per voxel two squares; the sum over the row is kept, so that each run moves by 0.8 / (4 * 2).
    expected = np.array([1.1] * 4 + [2.9] * 4)
    np.testing.assert_allclose(solution.values[0, 0], expected, atol=2e-3)


def smoothed_objective(geometry, images, regularisation, epsilon):
    """Return value and gradient of the same problem with rounded corners, for a general solver."""
    projector = Projector(geometry)
    shape = geometry.grid.shape

    def evaluate(flat):
        volume = flat.reshape(shape)
        means = [np.maximum(mean, 1e-9).astype(float) for mean in projector.forward(volume.astype(np.float32))]
        value = 0.0
        for mean, image in zip(means, images, strict=True):
            value += float((mean - image + np.where(image > 0, image * np.log(np.maximum(image, 1) / mean), 0)).sum())
        ratios = [(1 - image / mean).astype(np.float32) for mean, image in zip(means, images, strict=True)]
        gradient = projector.adjoint(ratios).astype(float)
        differences = [np.diff(volume, axis=k, append=np.take(volume, [-1], axis=k)) for k in range(3)]
        length = np.sqrt(sum(d**2 for d in differences) + epsilon**2)
        value += regularisation * float((length - epsilon).sum())
        for k, difference in enumerate(differences):
            part = regularisation * difference / length
            gradient -= part
            gradient += np.roll(part, 1, axis=k)  # what wraps around is a difference at the end, 0
        return value, gradient.ravel()

    return evaluate


def test_tv_reaches_the_objective_of_a_general_solver():
    geometry, images, _ = measured(3e4, n=8)
    regularisation = 2.0
    solution = reconstruct_volume(images, geometry, regularisation=regularisation, tolerance=1e-5, iterations=4000)
    exact = smoothed_objective(geometry, images, regularisation, 1e-6)
    reached = exact(solution.values.astype(float).ravel())[0]
    assert reached == pytest.approx(solution.history[-1].objective, rel=1e-4)
    at = np.full(8**3, float(solution.values.mean()))
    for epsilon in (1e-1, 1e-2, 1e-3):
        smooth = smoothed_objective(geometry, images, regularisation, epsilon * float(solution.values.max()))
        at = minimize(smooth, at, jac=True, method="L-BFGS-B", bounds=[(0, None)] * at.size, options={"maxiter": 800}).x
    assert reached <= exact(at)[0] * (1 + 1e-4)
    assert reached == pytest.approx(exact(at)[0], rel=3e-3)


def test_gap_bounds_what_is_left_to_gain():
    geometry, images, _ = measured(1e5)
    system = System.of(Projector(geometry))
    term = PoissonTerm(np.concatenate([image.ravel() for image in images]), system.inverse)
    upper = 40.0
    best = reconstruct_volume(images, geometry, regularisation=2.0, upper=upper, tolerance=1e-6, iterations=3000)
    solver = PrimalDual(system, term, start=None, upper=upper, threads=1)
    for step in range(1, 101):
        if step % 10:
            solver.step(2.0)
            continue
        found = solver.checked_step(2.0, rebalance=True)
        least = best.history[-1].objective
        assert found.objective - found.gap <= least * (1 + 1e-5)
        assert found.objective >= least * (1 - 1e-5)
    assert found.relative_gap < 0.1


@pytest.mark.parametrize("method", ["tv", "mlem", "osem"])
def test_box_is_kept(method):
    geometry, images, volume = measured(1e5)
    upper = 0.6 * float(volume.max())
    chosen = {"regularisation": 1.0} if method == "tv" else {}
    solution = reconstruct_volume(images, geometry, method=method, upper=upper, iterations=25, **chosen)
    assert solution.values.min() >= 0
    assert solution.values.max() <= np.float32(upper)
    assert np.count_nonzero(solution.values == np.float32(upper)) > 10


@pytest.mark.parametrize("method", ["tv", "mlem", "osem"])
def test_threads_do_not_change_a_bit(method):
    geometry, images, _ = measured(1e5)
    one, two = (
        reconstruct_volume(images, geometry, method=method, iterations=30, threads=threads) for threads in (1, 2)
    )
    assert one.values.tobytes() == two.values.tobytes()
    assert one.history == two.history


def test_mlem_gains_likelihood_with_every_step_and_keeps_the_counts():
    geometry, images, _ = measured(2e4)
    solution = reconstruct_volume(images, geometry, method="mlem", iterations=40)
    objectives = [step.objective for step in solution.history]
    assert all(later < earlier for earlier, later in pairwise(objectives))
    counts = sum(float(image.sum()) for image in images)
    assert sum(float(view.sum(dtype=np.float64)) for view in solution.projections) == pytest.approx(counts, rel=1e-5)
    assert solution.regularisation == 0


def test_mlem_finds_what_is_without_noise():
    geometry, _, volume = measured(1e5, angles=tuple(range(0, 180, 15)))
    solution = reconstruct_volume(project(volume, geometry), geometry, method="mlem", iterations=200)
    assert np.sqrt(((solution.values - volume) ** 2).mean()) < 0.03 * volume.max()


def test_osem_of_one_subset_is_mlem():
    geometry, images, _ = measured(2e4)
    one = reconstruct_volume(images, geometry, method="osem", subsets=1, iterations=5)
    assert one.values.tobytes() == reconstruct_volume(images, geometry, method="mlem", iterations=5).values.tobytes()


def test_osem_is_about_as_far_in_fewer_passes():
    geometry, images, _ = measured(1e6, angles=tuple(range(0, 180, 15)))
    many = reconstruct_volume(images, geometry, method="mlem", iterations=12)
    few = reconstruct_volume(images, geometry, method="osem", subsets=3, iterations=4)
    assert deviance(few, images) == pytest.approx(deviance(many, images), rel=0.1)


@pytest.mark.parametrize(("count", "subsets"), [(60, 15), (7, 3), (5, 5), (4, 1)])
def test_subsets_share_the_views_evenly(count, subsets):
    groups = interleaved(count, subsets)
    assert sorted(view for group in groups for view in group) == list(range(count))
    assert {len(group) for group in groups} <= {count // subsets, -(-count // subsets)}


@pytest.mark.parametrize("counts", [3e4, 3e5])
def test_discrepancy_is_what_noise_alone_causes(counts):
    geometry, images, _ = measured(counts)
    solution = reconstruct_volume(images, geometry)
    rng = np.random.default_rng(1)
    simulated = [deviance(solution, [rng.poisson(view) for view in solution.projections]) for _ in range(20)]
    assert deviance(solution, images) == pytest.approx(np.mean(simulated), rel=0.04)


def test_tv_is_nearer_to_the_truth_than_any_number_of_mlem_steps():
    geometry, images, volume = measured(1e5)

    def error(solution):
        return float(np.sqrt(((solution.values - volume) ** 2).mean()))

    best = min(error(reconstruct_volume(images, geometry, method="mlem", iterations=k)) for k in (2, 4, 8, 16, 32))
    assert error(reconstruct_volume(images, geometry)) < 0.8 * best


def test_gaussian_line_integrals_are_fitted_to_their_noise():
    grid = Grid((16, 16, 16), (1.0, 1.0, 1.0))
    views = tuple(
        View.c_arm((24, 24), (1.5, 1.5), angle, 0, source_detector_mm=1000, source_isocenter_mm=700)
        for angle in (0, 40, 90, 130)
    )
    geometry = Geometry(grid, views)
    truth = 0.02 * phantom()
    rng = np.random.default_rng(0)
    images = [view + rng.normal(0, 0.01, view.shape) for view in project(truth, geometry)]
    solution = reconstruct_volume(images, geometry)
    residuals = np.concatenate([view[4:-4, 4:-4].ravel() for view in solution.residuals])
    assert residuals.std() == pytest.approx(1, abs=0.15)
    assert np.abs(solution.values - truth).mean() < 0.15 * truth.max()


def test_camera_is_modelled():
    geometry, _, volume = measured(1.0, n=16)
    camera = GammaCamera(mu_per_cm=0.15, intrinsic_mm=4.0, slope=0.03)
    volume = volume / volume.max() * 5
    images = [np.random.default_rng(0).poisson(view) for view in project(volume, geometry, camera=camera)]
    aware = reconstruct_volume(images, geometry, camera=camera)
    ignorant = reconstruct_volume(images, geometry)
    assert np.abs(aware.values - volume).mean() < 0.7 * np.abs(ignorant.values - volume).mean()


def test_start_is_ahead_in_the_next_frame():
    geometry, images, _ = measured(1e5)
    first = reconstruct_volume(images, geometry)
    _, later, _ = measured(1e5, seed=1)
    chosen = {"regularisation": first.regularisation, "iterations": 20}
    cold, warm = (reconstruct_volume(later, geometry, start=start, **chosen) for start in (None, first))
    assert warm.history[-1].objective < cold.history[-1].objective
    assert reconstruct_volume(later, geometry, start=first).regularisation == pytest.approx(
        first.regularisation, rel=0.2
    )
    onwards = reconstruct_volume(images, geometry, method="mlem", iterations=5, start=first)
    assert onwards.history[0].objective < 1.2 * first.history[-1].objective


@pytest.mark.parametrize("method", ["mlem", "osem"])
def test_start_without_activity_somewhere_is_left_again(method):
    geometry = Geometry.around(Grid((16, 16, 16), (4.0, 4.0, 4.0)), ANGLES)
    first, second = np.zeros((2, 16, 16, 16), np.float32)
    first[6:10, 6:10, 4:7] = second[6:10, 6:10, 9:12] = 20
    start = reconstruct_volume(project(first, geometry), geometry, regularisation=0.1, iterations=100)
    assert (start.values == 0).mean() > 0.5
    views = project(second, geometry)
    solution = reconstruct_volume(views, geometry, method=method, start=start)
    assert sum(view.sum() for view in solution.projections) == pytest.approx(
        sum(view.sum() for view in views), rel=0.01
    )


@pytest.mark.parametrize("method", ["tv", "mlem", "osem"])
def test_watch_stops_the_solver_which_returns_what_it_has(method):
    geometry, images, _ = measured(1e5)
    steps = []
    solution = reconstruct_volume(
        images, geometry, method=method, iterations=100, watch=lambda step: steps.append(step) or len(steps) == 3
    )
    assert solution.interrupted
    assert solution.history == tuple(steps)
    assert len(steps) == 3
    assert solution.values.min() >= 0
    assert {step.total for step in steps} == {100}


def test_views_that_fit_no_volume_are_told():
    geometry, images, _ = measured(1e6)
    images[1] = 1.5 * images[1]
    with pytest.warns(MisfitWarning, match="times what noise alone would cause"):
        reconstruct_volume(images, geometry)


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "fbp"},
        {"noise": "rician"},
        {"method": "mlem", "noise": "gaussian"},
        {"method": "osem", "regularisation": 1.0},
        {"subsets": 2},
        {"method": "osem", "subsets": 5},
        {"method": "osem", "subsets": 0},
        {"variance": 2.0},
        {"noise": "gaussian", "variance": 0.0},
        {"noise": "gaussian", "variance": np.float32(0)},
        {"noise": "gaussian", "variance": [np.ones((2, 2))] * 4},
        {"regularisation": -1.0},
        {"regularisation": float("nan")},
        {"upper": 0.0},
        {"upper": float("nan")},
        {"iterations": 0},
        {"iterations": 2.5},
        {"tolerance": 0.0},
        {"threads": 0},
        {"device": "tpu"},
    ],
    ids=str,
)
def test_wrong_arguments_are_refused(wrong):
    geometry, images, _ = measured(1e4)
    with pytest.raises(UsageError):
        reconstruct_volume(images, geometry, **wrong)


def test_start_of_another_grid_is_refused():
    geometry, images, _ = measured(1e4)
    start = reconstruct_volume(images, geometry, iterations=1)
    other, views, _ = measured(1e4, n=8)
    with pytest.raises(UsageError, match="same grid"):
        reconstruct_volume(views, other, start=start)


@pytest.mark.parametrize("method", ["tv", "mlem", "osem"])
def test_view_that_misses_the_volume_is_refused(method):
    geometry, images, _ = measured(1e4)
    views = (*geometry.views[:3], geometry.views[3].moved((0.0, 0.0, 500.0)))
    with pytest.raises(UsageError, match="view 4 misses the volume"):
        reconstruct_volume(images, replace(geometry, views=views), method=method)


@pytest.mark.filterwarnings("ignore::photopeak.kernels.reconstruction.checks.TruncatedViewWarning")
@pytest.mark.parametrize("method", ["tv", "mlem"])
def test_object_outside_the_volume_is_refused(method):
    geometry = Geometry.around(Grid((4, 4, 4), (4.0, 4.0, 4.0)), (0, 90), shape=(32, 32), spacing_mm=(4.0, 4.0))
    image = np.zeros((32, 32))
    image[2:5, 2:5] = 50
    with pytest.raises(InputError, match="show nothing where the volume is"):
        reconstruct_volume([image, image], geometry, method=method)


def test_negative_line_integrals_are_no_counts():
    view = View.c_arm((16, 16), (2.0, 2.0), 0, 0, source_detector_mm=1000, source_isocenter_mm=700)
    other = View.c_arm((16, 16), (2.0, 2.0), 90, 0, source_detector_mm=1000, source_isocenter_mm=700)
    geometry = Geometry(Grid((8, 8, 8), (2.0, 2.0, 2.0)), (view, other))
    images = [np.pad(np.ones((8, 8)), 4, constant_values=-0.1)] * 2
    with pytest.raises(InputError, match="counts cannot have"):
        reconstruct_volume(images, geometry, noise="poisson")
