"""Wires from two views, against a coil whose images are drawn by other means."""

import numpy as np
import pytest

from photopeak.exporters.phantoms.coils import Beam, Coil, biplane, draw_thickness, random_coil, simulate_views
from photopeak.kernels import Geometry, Grid, _native, reconstruct_curve
from photopeak.kernels.errors import DeviceError, InputError, UsageError
from photopeak.kernels.reconstruction.curve_search import Effort, fitted_controls
from photopeak.kernels.reconstruction.shadows import Region, read_shadows

GEOMETRY = biplane()
QUICK = Effort(seeds=150, repairs=0)


def distance(points, others):
    """Mean distance of points to the nearest of others."""
    return float(np.linalg.norm(points[:, None] - others[None], axis=-1).min(axis=1).mean())


def arc(center, radius, turn, tilt):
    """Part of a circle in a tilted plane, as a wire."""
    t = np.linspace(0, turn, int(turn * radius / 0.05))
    flat = np.stack([np.cos(t), np.sin(t) * np.cos(tilt), np.sin(t) * np.sin(tilt)], axis=1)
    return Coil(np.array(center) + radius * flat, 0.25, (3.0, 3.0, 3.0))


@pytest.fixture(scope="module")
def loop():
    coil = random_coil(0, loops=1)
    return coil, simulate_views(coil, GEOMETRY, seed=1)


@pytest.fixture(scope="module")
def solution(loop):
    return reconstruct_curve(loop[1], GEOMETRY, radius_mm=0.25, effort=QUICK)


def test_model_draws_what_rays_through_the_tube_measure():
    coil = arc((0, 0, 0), 2.0, 4.0, 0.6)
    rays = [draw_thickness(coil, view, 4) for view in GEOMETRY.views]
    means = tuple(r.reshape(64, 4, 64, 4).mean(axis=(1, 3)).astype(np.float32) for r in rays)
    shadows, _ = read_shadows(means, GEOMETRY, 0.25, region=None, attenuation_per_mm=1.0, photons=1e4)
    drawn = shadows.model.render(fitted_controls(coil.points_mm, 0.5))
    through = np.concatenate([m[c.rows, c.columns].ravel() for m, c in zip(means, shadows.crops, strict=True)])
    assert np.sqrt(np.mean((drawn - through) ** 2)) < 0.03
    caps = 4 / 3 * coil.radius_mm  # the phantom's ends are half spheres, as much wire as this
    share = coil.length_mm / (coil.length_mm + caps)
    assert drawn.sum() == pytest.approx(through.sum() * share, rel=0.01)


def test_length_and_attenuation_are_read_from_the_images(loop):
    coil, images = loop
    shadows, region = read_shadows(images, GEOMETRY, 0.25, region=None, attenuation_per_mm=None, photons=None)
    assert shadows.attenuation_per_mm == pytest.approx(1.0, abs=0.05)
    assert shadows.length_mm == pytest.approx(coil.length_mm, rel=0.05)
    assert np.linalg.norm(coil.points_mm - region.center_mm, axis=1).max() < region.radius_mm + 0.25


def test_loop_is_found(loop, solution):
    coil, _ = loop
    points = solution.curves[0].points_mm
    assert len(solution.curves) == 1
    assert distance(points, coil.points_mm) < 0.05
    assert distance(coil.points_mm, points) < 0.05
    assert np.median(solution.curves[0].certainty) > 0.8


def test_projections_explain_the_views(loop, solution):
    for image, projection, residual in zip(loop[1], solution.projections, solution.residuals, strict=True):
        assert projection.shape == image.shape
        assert residual.dtype == np.float32
        assert np.median(np.abs(residual)) < 1.0  # 0.67 for noise alone


def test_threads_do_not_change_the_result(loop, solution):
    again = reconstruct_curve(loop[1], GEOMETRY, radius_mm=0.25, effort=QUICK, threads=2)
    np.testing.assert_array_equal(again.curves[0].points_mm, solution.curves[0].points_mm)


def test_next_frame_starts_from_the_one_before(loop, solution):
    coil, _ = loop
    moved = Coil(coil.points_mm + np.array([0.1, -0.05, 0.1]), coil.radius_mm, coil.sac_mm)
    steps = []
    follow = reconstruct_curve(
        simulate_views(moved, GEOMETRY, seed=2), GEOMETRY, radius_mm=0.25, start=solution, watch=steps.append
    )
    assert not steps  # nothing had to be searched
    assert distance(follow.curves[0].points_mm, moved.points_mm) < 0.05


def test_a_start_that_explains_nothing_is_dropped(loop, solution):
    other = arc((0, 0, 0), 2.2, 5.0, 1.0)
    found = reconstruct_curve(
        simulate_views(other, GEOMETRY, seed=3), GEOMETRY, radius_mm=0.25, start=solution, effort=QUICK
    )
    assert distance(other.points_mm, found.curves[0].points_mm) < 0.1


@pytest.mark.parametrize("wires", [2, None])
def test_two_wires_are_told_apart(wires):
    one, two = arc((0, 0, 1.2), 2.0, 4.0, 0.3), arc((0, 0, -1.2), 1.8, 4.0, 0.5)
    through = [np.log(draw_thickness(one, v, 1) + draw_thickness(two, v, 1) + 1e-12) for v in GEOMETRY.views]
    images = [np.exp(t).astype(np.float32) for t in through]
    found = reconstruct_curve(
        images, GEOMETRY, radius_mm=0.25, wires=wires, attenuation_per_mm=1.0, photons=5e3, effort=QUICK
    )
    assert len(found.curves) == 2
    for coil in (one, two):
        assert min(distance(coil.points_mm, curve.points_mm) for curve in found.curves) < 0.1


def test_watch_stops_the_search(loop):
    steps = []
    stopped = reconstruct_curve(
        loop[1], GEOMETRY, radius_mm=0.25, effort=QUICK, watch=lambda step: steps.append(step) or True
    )
    assert stopped.interrupted
    assert len(steps) == 1
    assert steps[0].done <= steps[0].total
    assert stopped.curves  # the best so far


def test_wire_outside_the_region_is_refused(loop):
    with pytest.raises(UsageError, match="outside a view"):
        reconstruct_curve(loop[1], GEOMETRY, radius_mm=0.25, region=Region((50.0, 0.0, 0.0), 3.0))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"radius_mm": 0.0}, UsageError, "radius"),
        ({"radius_mm": 0.05}, UsageError, "pixels wide"),
        ({"wires": 0}, UsageError, "wires"),
        ({"wires": 1.5}, UsageError, "wires"),
        ({"seed": -1}, UsageError, "seed"),
        ({"threads": 1.5}, UsageError, "threads"),
        ({"threads": 0}, UsageError, "threads"),
        ({"device": "cuda"}, DeviceError, "CPU"),
        ({"attenuation_per_mm": -1.0}, UsageError, "attenuation"),
        ({"photons": 0.0}, UsageError, "photons"),
    ],
)
def test_senseless_arguments_are_refused(loop, options, error, message):
    with pytest.raises(error, match=message):
        reconstruct_curve(loop[1], GEOMETRY, **{"radius_mm": 0.25, **options})


@pytest.mark.parametrize(
    "options", [{"seeds": 0}, {"seeds": -5}, {"beam": 0}, {"cuts": 0}, {"repairs": -1}, {"widest": 1.5}]
)
def test_impossible_effort_is_refused(options):
    with pytest.raises(UsageError, match="effort"):
        Effort(**options)


def test_region_behind_the_focal_spot_is_refused(loop):
    behind = 2 * np.array(GEOMETRY.views[0].source_mm)
    with pytest.raises(UsageError, match="outside a view"):
        reconstruct_curve(loop[1], GEOMETRY, radius_mm=0.25, region=Region(tuple(behind), 3.0))


def test_region_round_a_focal_spot_is_refused(loop):
    with pytest.raises(UsageError, match="reaches behind a focal spot"):
        reconstruct_curve(loop[1], GEOMETRY, radius_mm=0.25, region=Region((0.0, 0.0, 0.0), 3000.0), effort=QUICK)


def test_a_pixel_may_be_touched_by_any_number_of_control_points(loop):
    shadows, _ = read_shadows(loop[1], GEOMETRY, 0.25, region=None, attenuation_per_mm=None, photons=None)
    loss = _native.CurveLoss(tolerance=0.1, reach=0.0, spacing=0.8, bend=0.3, twist=0.2)
    crowd = np.tile(np.linspace(-0.2, 0.2, 6)[:, None] * [1.0, 1.0, 1.0], (220, 1))
    _, value = shadows.model.fit(crowd, np.zeros_like(shadows.measured), loss, 0)
    assert np.isfinite(value)


def test_parallel_views_are_refused():
    parallel = Geometry.around(Grid((8, 8, 8), (1.0, 1.0, 1.0)), (0, 90))
    image = np.ones((8, 8), np.float32)
    with pytest.raises(UsageError, match="cone-beam"):
        reconstruct_curve([image, image], parallel, radius_mm=0.25)


def test_noise_alone_is_no_wire():
    rng = np.random.default_rng(0)
    images = [rng.normal(0, 0.01, (64, 64)).astype(np.float32) for _ in range(2)]
    for image in images:
        image[:5] = image[-5:] = image[:, :5] = image[:, -5:] = 0  # else it looks cut off
    with pytest.raises(InputError, match="no wire"):
        reconstruct_curve(images, GEOMETRY, radius_mm=0.25, attenuation_per_mm=1.0)


def test_region_without_size_is_refused():
    with pytest.raises(UsageError, match="radius"):
        Region((0.0, 0.0, 0.0), 0.0)


def test_beam_sees_the_wire_as_photons_do():
    coil = arc((0, 0, 0), 2.0, 3.0, 0.6)
    image = simulate_views(coil, GEOMETRY, Beam(photons=1e6), seed=0)[0]
    thickness = draw_thickness(coil, GEOMETRY.views[0], 4).reshape(64, 4, 64, 4).mean(axis=(1, 3))
    assert np.abs(image - thickness).max() < 0.3  # the logarithm of a mean is below the mean of logarithms
    assert image.sum() == pytest.approx(thickness.sum(), rel=0.05)
