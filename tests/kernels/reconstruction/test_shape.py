import dataclasses

import numpy as np
import pytest

from photopeak.kernels import GammaCamera, Geometry, Grid, View, _native, project, reconstruct_shape
from photopeak.kernels.errors import InputError, UsageError
from photopeak.kernels.reconstruction.checks import NearlyParallelWarning
from photopeak.kernels.reconstruction.quasi_newton import minimise
from photopeak.kernels.reconstruction.shape_likelihood import Likelihood
from photopeak.kernels.reconstruction.shape_model import Box, Levels, ShapeModel
from photopeak.kernels.reconstruction.shape_prior import SmoothField, Smoothness, ellipsoid_of
from photopeak.kernels.reconstruction.shape_uncertainty import volume_uncertainty
from photopeak.kernels.reconstruction.transmission import optical_paths

GRID = Grid((32, 36, 40), (6.0, 6.0, 6.0))
GEOMETRY = Geometry.around(GRID, (0, 90))


def ellipsoid(center=(6.0, -4.0, 3.0), half_axes=(70.0, 45.0, 55.0), grid=GRID, finer=3):
    """Shares of voxels inside, from points that lie finer than voxels."""
    shape = tuple(finer * count for count in grid.shape)
    z, y, x = Grid(shape, tuple(step / finer for step in grid.spacing_mm), grid.center_mm).axes()
    square = sum(
        ((axis - middle) / half) ** 2
        for axis, middle, half in zip((x, y[:, None], z[:, None, None]), center, half_axes, strict=True)
    )
    blocks = (square < 1).reshape(grid.shape[0], finer, grid.shape[1], finer, grid.shape[2], finer)
    return blocks.mean(axis=(1, 3, 5)).astype(np.float32)


def noisy(views, counts, seed=0):
    total = sum(float(view.sum()) for view in views)
    return [
        np.random.default_rng(seed + i).poisson(np.maximum(view, 0) * counts / total) for i, view in enumerate(views)
    ]


def dice(first, second):
    one, two = first > 0.5, second > 0.5
    return 2 * (one & two).sum() / (one.sum() + two.sum())


def camera_of(grid=GRID, **changes):
    _, y, x = grid.axes()
    body = np.broadcast_to((x / 115) ** 2 + (y[:, None] / 100) ** 2 < 1, grid.shape)
    known = {"mu_per_cm": 0.15, "body": body, "intrinsic_mm": 3.6, "face_mm": 1.8, "slope": 0.05}
    return GammaCamera(**{**known, **changes})


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def solved():
    truth = ellipsoid()
    return truth, reconstruct_shape(noisy(project(truth, GEOMETRY), 3e5), GEOMETRY)


def test_shape_of_ideal_views_has_place_volume_and_activity(solved):
    truth, solution = solved
    assert dice(solution.occupancy, truth) > 0.97
    assert solution.volume_ml == pytest.approx(4 / 3 * np.pi * 7.0 * 4.5 * 5.5, rel=0.02)
    views = project(truth, GEOMETRY)
    assert solution.activity == pytest.approx(3e5 / sum(view.sum() for view in views), rel=0.02)
    assert solution.background == 0
    assert solution.attenuation == 1


def test_shape_residuals_are_those_of_noise(solved):
    _, solution = solved
    for projection, residual in zip(solution.projections, solution.residuals, strict=True):
        bright = projection > 5
        assert 0.8 < residual[bright].std() < 1.2
        assert abs(residual[bright].mean()) < 0.1


def test_shape_distance_fits_occupancy(solved):
    _, solution = solved
    inside = solution.distance_mm < 0
    assert (inside == (solution.occupancy > 0.5)).all()
    z, y, x = np.gradient(solution.distance_mm, *GRID.spacing_mm)
    near = np.abs(solution.distance_mm) < 15
    assert np.median(np.sqrt(x**2 + y**2 + z**2)[near]) == pytest.approx(1, abs=0.05)


def test_shape_with_attenuation_and_blur_does_not_need_the_right_coefficient():
    truth = np.maximum(ellipsoid((-30, 0, 0), (45, 50, 60)), ellipsoid((20, -25, 15), (60, 25, 30)))
    camera = camera_of()
    views = noisy(project(truth, GEOMETRY, camera=camera), 1e6)
    wrong = dataclasses.replace(camera, mu_per_cm=0.12)
    known, fitted = (reconstruct_shape(views, GEOMETRY, camera=wrong, attenuation_error=error) for error in (0, 0.1))
    assert dice(fitted.occupancy, truth) > 0.95
    assert dice(fitted.occupancy, truth) > dice(known.occupancy, truth) + 0.01
    assert fitted.attenuation == pytest.approx(1.25, abs=0.1)


@pytest.mark.parametrize("angles", [(20, 80), (0, 60, 120)])
def test_shape_of_oblique_views(angles):
    truth, geometry = ellipsoid(), Geometry.around(GRID, angles)
    solution = reconstruct_shape(noisy(project(truth, geometry), 3e5), geometry)
    assert dice(solution.occupancy, truth) > 0.95


def test_shape_in_background_tells_both_activities():
    truth, camera = ellipsoid(half_axes=(55.0, 40.0, 45.0)), camera_of()
    views = project(truth + 0.1 * camera.body, GEOMETRY, camera=camera)
    scale = 6e5 / sum(view.sum() for view in views)
    solution = reconstruct_shape(noisy(views, 6e5), GEOMETRY, camera=camera, background=True)
    assert dice(solution.occupancy, truth) > 0.92
    assert solution.background == pytest.approx(0.1 * scale, rel=0.05)
    assert solution.activity == pytest.approx(scale, rel=0.1)


def test_shape_starts_from_the_frame_before(solved):
    _, solution = solved
    moved = ellipsoid(center=(9.0, -4.0, 3.0))
    views = noisy(project(moved, GEOMETRY), 3e5, seed=7)
    cold = reconstruct_shape(views, GEOMETRY, iterations=5)
    for start in (solution, solution.occupancy):
        again = reconstruct_shape(views, GEOMETRY, start=start, iterations=25)
        assert dice(again.occupancy, moved) > 0.97
        assert {step.stage for step in again.history} == {"voxels of 6 mm"}
        assert again.history[4].objective < cold.history[4].objective


def test_watch_hears_each_step_and_stops_the_solver():
    views, heard = noisy(project(ellipsoid(), GEOMETRY), 1e5), []
    solution = reconstruct_shape(views, GEOMETRY, watch=lambda step: heard.append(step) or len(heard) == 5)
    assert solution.interrupted
    assert solution.history == tuple(heard)
    assert [step.done for step in heard] == [1, 2, 3, 4, 5]
    assert solution.volume_ml > 0


def test_objective_falls_from_step_to_step(solved):
    _, solution = solved
    for before, after in zip(solution.history[:-1], solution.history[1:], strict=True):
        if before.stage == after.stage:
            assert after.objective <= before.objective


def test_shape_is_the_same_on_any_number_of_threads():
    views = noisy(project(ellipsoid(), GEOMETRY), 1e5)
    one, two = (reconstruct_shape(views, GEOMETRY, threads=threads, iterations=10) for threads in (1, 2))
    np.testing.assert_array_equal(one.occupancy, two.occupancy)


def test_volume_uncertainty_shrinks_with_counts():
    truth = ellipsoid()
    spread = []
    for counts in (1e4, 2e5):
        solution = reconstruct_shape(noisy(project(truth, GEOMETRY), counts), GEOMETRY)
        found = volume_uncertainty(solution, GEOMETRY, repeats=4)
        low, high = found.interval_ml()
        assert low < high
        assert len(found.volumes_ml) == 4
        spread.append(found.standard_ml)
    assert 0 < spread[1] < spread[0] / 2
    with pytest.raises(UsageError, match="2 or more"):
        volume_uncertainty(solution, GEOMETRY, repeats=1)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda views: [views[0], -views[1]], InputError, "below zero"),
        (lambda views: [views[0], 0 * views[1]], InputError, "shows nothing"),
        (lambda views: views[:1], UsageError, "1 images for 2"),
        (lambda views: [views[0], views[1][:-1]], InputError, "pixels"),
    ],
)
def test_bad_images_are_refused(change, error, words):
    views = [np.asarray(view) for view in project(ellipsoid(), GEOMETRY)]
    with pytest.raises(error, match=words):
        reconstruct_shape(change(views), GEOMETRY)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"iterations": 0}, UsageError, "iterations"),
        ({"tolerance": 0.0}, UsageError, "tolerance"),
        ({"attenuation_error": 1.0}, UsageError, "attenuation_error"),
        ({"background": True}, UsageError, "camera's body"),
        ({"background": np.zeros(GRID.shape, bool)}, InputError, "nowhere"),
        ({"background": np.zeros((2, 2, 2), bool)}, InputError, "shape"),
        ({"start": np.zeros((2, 2, 2), np.float32)}, UsageError, "shape"),
        ({"start": np.zeros(GRID.shape, np.float32)}, InputError, "no surface"),
    ],
)
def test_bad_options_are_refused(options, error, words):
    with pytest.raises(error, match=words):
        reconstruct_shape(project(ellipsoid(), GEOMETRY), GEOMETRY, **options)


def test_views_of_one_direction_and_cones_are_refused_and_near_ones_warned_of():
    truth = ellipsoid()
    for angles, words in (((0,), "1 view"), ((0, 180), "same line")):
        geometry = Geometry.around(GRID, angles)
        with pytest.raises(UsageError, match=words):
            reconstruct_shape(project(truth, geometry), geometry)
    near = Geometry.around(GRID, (0, 10))
    with pytest.warns(NearlyParallelWarning, match="error in depth"):
        reconstruct_shape(noisy(project(truth, near), 1e5), near, iterations=2)
    arm = View.c_arm((32, 32), (8.0, 8.0), 0, 0, source_detector_mm=1100, source_isocenter_mm=750)
    with pytest.raises(UsageError, match="parallel"):
        reconstruct_shape([np.ones((32, 32))], Geometry(GRID, (arm,)))


def test_signed_distance_to_a_ball_is_known_between_voxels():
    z, y, x = np.meshgrid(*Grid((30, 40, 50), (3.0, 2.0, 1.5)).axes(), indexing="ij")
    exact = np.sqrt(x**2 + y**2 + z**2) - 20
    found = _native.signed_distance((5 * exact).astype(np.float32), (3.0, 2.0, 1.5))
    assert np.abs(found - exact).max() < 0.9
    assert np.abs(found - exact).mean() < 0.15
    assert (found < 0).sum() == (exact < 0).sum()


def test_signed_distance_without_a_surface_is_the_largest_number():
    assert _native.signed_distance(np.ones((2, 3, 4), np.float32), (1.0, 1.0, 1.0)).min() == np.finfo(np.float32).max


@pytest.mark.parametrize("angle", [0, 90, 200, 315])
def test_optical_paths_of_a_cylinder_are_its_chords(angle):
    grid = Grid((4, 100, 100), (3.0, 3.0, 3.0))
    _, y, x = grid.axes()
    radius = 120.0
    water = np.broadcast_to((x**2 + y[:, None] ** 2 < radius**2) * np.float32(0.015), grid.shape)
    within = Grid((2, 5, 6), (8.0, 20.0, 20.0), (10.0, -15.0, 0.0))
    view = View.gamma_camera((4, 4), (4.0, 4.0), angle)
    _, y, x = np.meshgrid(*within.axes(), indexing="ij")
    ahead = -np.array(view.looking)
    along, square = x * ahead[0] + y * ahead[1], x**2 + y**2
    chord = -along + np.sqrt(along**2 - square + radius**2)
    np.testing.assert_allclose(optical_paths(water, grid, view, within), 0.015 * chord, atol=0.015 * 4)


def model_of(factor=1, camera=None, angles=(0, 70)):
    geometry = Geometry.around(GRID, angles)
    box = Box.cut(GRID, (slice(4, 26), slice(6, 30), slice(3, 37)))
    levels = Levels(geometry, box, camera)
    views = [np.asarray(view) for view in noisy(project(ellipsoid(), geometry, camera=camera), 2e4)]
    views = [view.astype(np.float32) for view in views]
    return ShapeModel(
        levels, views, [0 * view for view in views], factor, paths=levels.paths(), threads=1, device="cpu"
    )


@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.parametrize("camera", [None, camera_of()])
def test_box_model_has_its_transpose(factor, camera, rng):
    model = model_of(factor, camera)
    volume = rng.random(model.grid.shape, np.float32)
    images = [rng.random(counts.shape, np.float32) for counts in model.data.counts]
    seen = sum(float(np.vdot(a, b)) for a, b in zip(model.forward(volume, 1.1), images, strict=True))
    back, _ = model.adjoint(images, 1.1)
    assert seen == pytest.approx(float(np.vdot(volume, back)), rel=1e-5)


@pytest.mark.parametrize("camera", [None, camera_of()])
def test_box_model_sees_what_the_whole_volume_shows(camera):
    model, truth = model_of(1, camera), ellipsoid()
    whole = project(truth, Geometry.around(GRID, (0, 70)), camera=camera)
    part = model.forward(np.ascontiguousarray(truth[4:26, 6:30, 3:37]))
    for view, cut in zip(whole, part, strict=True):
        assert cut.sum() == pytest.approx(view.sum(), rel=0.01)
        assert cut.max() == pytest.approx(view.max(), rel=0.02)


def test_gradient_of_the_posterior_is_that_of_its_differences(rng):
    model = model_of(2, camera_of())
    spans = [(-100.0, 100.0)] * 3
    field = SmoothField.over(model.grid.axes(), spans, Smoothness())
    geometry = Geometry.around(GRID, (0, 70))
    mean = ellipsoid_of(project(ellipsoid(), geometry), geometry).level(model.grid.axes())
    posterior = Likelihood(model, field, mean, 4.0, attenuation_error=0.1, with_background=False)
    at = 0.1 * rng.standard_normal(field.count + 1).astype(np.float32)
    _, slope = posterior(at)
    for way in (rng.standard_normal(at.size).astype(np.float32), np.eye(1, at.size, at.size - 1, dtype=np.float32)[0]):
        step = np.float32(1e-2 / np.abs(way).max())
        change = (posterior(at + step * way)[0] - posterior(at - step * way)[0]) / (2 * step)
        assert change == pytest.approx(float(np.vdot(slope, way)), rel=0.02, abs=0.5)


def test_smooth_field_has_its_transpose(rng):
    field = SmoothField.over(GRID.axes(), [(-100.0, 100.0), (-110.0, 110.0), (-120.0, 120.0)], Smoothness(40.0, 30.0))
    numbers = rng.standard_normal(field.count).astype(np.float32)
    values = rng.standard_normal(GRID.shape).astype(np.float32)
    assert float(np.vdot(field.forward(numbers), values)) == pytest.approx(
        float(np.vdot(numbers, field.adjoint(values))), rel=1e-3
    )


def test_smooth_field_varies_as_its_prior_says(rng):
    field = SmoothField.over(GRID.axes(), [(-100.0, 100.0), (-110.0, 110.0), (-120.0, 120.0)], Smoothness(40.0, 30.0))
    draws = []
    for _ in range(40):
        numbers = rng.standard_normal(field.count).astype(np.float32)
        numbers[:10] = 0  # the polynomial
        draws.append(field.forward(numbers))
    assert np.std(draws) == pytest.approx(30, rel=0.1)


def test_ellipsoid_has_the_moments_of_its_views():
    found = ellipsoid_of(project(ellipsoid(), GEOMETRY), GEOMETRY)
    np.testing.assert_allclose(found.center_mm, (6.0, -4.0, 3.0), atol=0.2)
    np.testing.assert_allclose(np.sqrt(5 * np.diag(found.covariance)), (70.0, 45.0, 55.0), rtol=0.02)


def test_minimise_finds_the_bottom_of_a_curved_valley():
    def rosenbrock(at):
        x, y = (float(value) for value in at)
        slope = [-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)]
        return (1 - x) ** 2 + 100 * (y - x * x) ** 2, np.array(slope, np.float32)

    found = minimise(rosenbrock, np.array([-1.2, 1.0], np.float32), limit=200, tolerance=1e-12)
    np.testing.assert_allclose(found.at, (1, 1), atol=0.02)
    assert not found.stopped


def test_bodies_thinner_than_a_voxel_are_refused():
    geometry = Geometry.around(Grid((1, 16, 16), (8.0, 8.0, 8.0)), (0, 90), shape=(1, 16), spacing_mm=(8.0, 8.0))
    view = np.zeros((1, 16))
    view[0, 7:9] = 100
    with pytest.raises(InputError, match="finer voxels"):
        reconstruct_shape([view, view], geometry)
