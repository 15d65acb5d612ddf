"""The gamma camera against closed forms, and against its own transpose."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photopeak.kernels import _native
from photopeak.kernels.errors import DeviceError, InputError, UsageError
from photopeak.kernels.reconstruction.camera import GammaCamera
from photopeak.kernels.reconstruction.geometry import Geometry, Grid, View
from photopeak.kernels.reconstruction.projection import (
    Projector,
    _native_detector,
    _native_grid,
    backproject,
    project,
)

SIGMA = 2 * np.sqrt(2 * np.log(2))  # full width at half maximum of a Gaussian over its standard deviation
GRID = Grid((33, 33, 33), (4.0, 4.0, 4.0))
BODY = np.zeros((20, 18, 22), bool)
BODY[2:-2, 3:-3, 4:-5] = True


def blob(grid, sigma):
    """Return a Gaussian in the middle of a volume."""
    z, y, x = np.meshgrid(*grid.axes(), indexing="ij")
    return np.exp(-((x - 8) ** 2 + (y + 6) ** 2 + z**2) / (2 * sigma**2)).astype(np.float32)


@settings(max_examples=40)
@given(
    angles=st.lists(st.sampled_from([0, 90, 180, 270]) | st.floats(0, 360), min_size=1, max_size=3),
    pixels=st.tuples(*[st.integers(1, 30)] * 2),
    spacing=st.tuples(*[st.floats(2, 9)] * 2),
    voxels=st.tuples(*[st.floats(2, 6)] * 3),
    flipped=st.booleans(),
    attenuated=st.booleans(),
)
def test_adjoint_is_the_transpose_for_any_upright_views(angles, pixels, spacing, voxels, flipped, attenuated):
    grid = Grid(BODY.shape, voxels, (3.0, -2.0, 1.0))
    views = [View.gamma_camera(pixels, spacing, angle, radius_mm=90.0) for angle in angles]
    if flipped:
        views = [replace(view, right=(0.0, 0.0, 1.0), down=view.right) for view in views]
    camera = GammaCamera(intrinsic_mm=4.0, face_mm=1.5, slope=0.05, efficiency=2.0)
    if attenuated:
        camera = replace(camera, mu_per_cm=0.15, body=BODY)
    projector = Projector(Geometry(grid, tuple(views)), camera=camera)
    random = np.random.default_rng(0)
    volume = random.random(grid.shape, np.float32)
    images = [random.random(pixels, np.float32) for _ in views]
    seen = sum(
        (image.astype(float) * other).sum() for image, other in zip(projector.forward(volume), images, strict=True)
    )
    back = (projector.adjoint(images).astype(float) * volume).sum()
    assert back == pytest.approx(seen, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_ideal_camera_sees_sums_of_voxels(angle):
    volume = np.random.default_rng(0).random(GRID.shape, np.float32)
    geometry = Geometry.around(GRID, (angle,))
    (seen,) = project(volume, geometry, camera=GammaCamera())
    np.testing.assert_allclose(seen, project(volume, geometry)[0], rtol=1e-5)


@pytest.mark.parametrize("angle", [20, 45, 130, 300])
@pytest.mark.parametrize("pixel", [4.0, 3.3])
def test_ideal_camera_agrees_with_rays_at_any_angle(angle, pixel):
    geometry = Geometry.around(GRID, (angle,), spacing_mm=(pixel, pixel))
    (seen,), (rays,) = (project(blob(GRID, 15.0), geometry, camera=camera) for camera in (GammaCamera(), None))
    assert abs(seen - rays).max() < 0.01 * rays.max()


@pytest.mark.parametrize("angle", [0, 90, 180, 270, 30])
def test_slab_attenuates_as_its_closed_form(angle):
    geometry = Geometry.around(GRID, (angle,), spacing_mm=(4.0, 4.0))
    _, y, x = np.meshgrid(*GRID.axes(), indexing="ij")
    body = np.hypot(x, y) < 50
    (seen,) = project(body, geometry, camera=GammaCamera(mu_per_cm=0.15, body=body))
    (ideal,) = project(body, geometry)
    middle = (ideal.shape[0] // 2, ideal.shape[1] // 2)
    expected = (1 - np.exp(-0.015 * ideal[middle])) / 0.015
    assert seen[middle] == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
@pytest.mark.parametrize("depth", [-40.0, 0.0, 48.0])
@pytest.mark.parametrize("voxel", [4.0, 2.0])
def test_point_blurs_to_a_gaussian_of_its_distance(angle, depth, voxel):
    grid = Grid((65, 65, 65), (voxel,) * 3)
    camera = GammaCamera.with_holes(1.5, 24.0, intrinsic_mm=3.8)
    geometry = Geometry.around(grid, (angle,), radius_mm=150.0)
    place = np.array([32, 32, 32])
    axis, sign = {0: (1, 1), 180: (1, -1), 90: (2, -1), 270: (2, 1)}[angle]
    place[axis] += sign * round(depth / voxel)
    volume = np.zeros(grid.shape, np.float32)
    volume[tuple(place)] = 1
    (seen,) = project(volume, geometry, camera=camera)
    sigma = camera.width_mm(150 + depth) / SIGMA / voxel
    offsets = np.arange(65) - 32
    assert seen.sum() == pytest.approx(voxel, rel=1e-4)
    for moment in (offsets**2 * seen, offsets[:, None] ** 2 * seen):
        assert moment.sum() / voxel == pytest.approx(sigma**2, rel=5e-3)
    gaussian = np.exp(-(offsets**2) / (2 * sigma**2))
    expected = np.outer(gaussian, gaussian) * voxel / gaussian.sum() ** 2
    assert abs(seen - expected).max() < 0.01 * expected.max()
    assert seen.min() > -1e-3 * expected.max()


def test_body_blurs_as_by_a_gaussian_for_each_plane():
    camera = GammaCamera.with_holes(1.5, 24.0, intrinsic_mm=3.8, mu_per_cm=0.15)
    grid = Grid((40, 40, 40), (4.0, 4.0, 4.0))
    volume = np.zeros(grid.shape, np.float32)
    volume[10:30, 12:30, 8:25] = 1
    volume[15:20, 15:20, 12:16] = 0
    (seen,) = project(volume, Geometry.around(grid, (0,), radius_mm=100.0), camera=camera)
    offsets, expected = np.arange(40)[:, None] - np.arange(40), np.zeros((40, 40))
    for row, y in enumerate(grid.axes()[1]):
        sigma = camera.width_mm(100 + y) / SIGMA / 4
        kernel = np.exp(-(offsets**2) / (2 * sigma**2)) / np.exp(-(np.arange(-20, 21) ** 2) / (2 * sigma**2)).sum()
        left = np.exp(-0.015 * 4 * (row + 0.5))
        expected += 4 * left * kernel @ volume[::-1, row] @ kernel
    assert abs(seen - expected).max() < 5e-3 * expected.max()


def test_efficiency_scales_counts():
    geometry, volume = Geometry.around(GRID, (0,)), blob(GRID, 20.0)
    one, three = (project(volume, geometry, camera=GammaCamera(efficiency=by))[0] for by in (1.0, 3.0))
    np.testing.assert_allclose(three, 3 * one, rtol=1e-6)


def test_map_and_body_of_the_same_coefficient_agree():
    geometry, volume = Geometry.around(GRID, (0, 33)), blob(GRID, 20.0)
    body = blob(GRID, 30.0) > 0.1
    by_body = project(volume, geometry, camera=GammaCamera(mu_per_cm=0.15, body=body))
    by_map = project(volume, geometry, camera=GammaCamera(attenuation_map=0.15 * body))
    for one, other in zip(by_body, by_map, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("angles", [(0, 90), (20, 110, 250)])
def test_bits_do_not_depend_on_threads(angles):
    geometry = Geometry.around(Grid(BODY.shape, (4.0, 4.0, 4.0)), angles)
    camera = GammaCamera(mu_per_cm=0.15, body=BODY, intrinsic_mm=4.0, slope=0.05)
    one, three = (Projector(geometry, camera=camera, threads=threads) for threads in (1, 3))
    volume = np.random.default_rng(1).random(geometry.grid.shape, np.float32)
    images = one.forward(volume)
    for image, other in zip(images, three.forward(volume), strict=True):
        np.testing.assert_array_equal(image, other)
    np.testing.assert_array_equal(one.adjoint(images), three.adjoint(images))


@pytest.mark.parametrize("name", ["mu_per_cm", "intrinsic_mm", "face_mm", "slope", "efficiency"])
@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_camera_of_no_sense_is_refused(name, value):
    with pytest.raises(UsageError, match=f"{name} of a camera is {value}"):
        GammaCamera(**{name: value})


def test_camera_that_counts_nothing_is_refused():
    with pytest.raises(UsageError, match="counts nothing"):
        GammaCamera(efficiency=0.0)


def test_map_beside_a_coefficient_is_refused():
    with pytest.raises(UsageError, match="one or the other"):
        GammaCamera(mu_per_cm=0.1, attenuation_map=np.ones((2, 2, 2)))


def test_body_without_a_coefficient_is_refused():
    with pytest.raises(UsageError, match="does not attenuate"):
        GammaCamera(body=BODY)


def test_holes_of_no_size_are_refused():
    with pytest.raises(UsageError, match="are none"):
        GammaCamera.with_holes(0.0, 24.0)


@pytest.mark.parametrize(
    "values", [np.full(GRID.shape, -1.0), np.full(GRID.shape, np.nan), np.ones(GRID.shape, complex)]
)
def test_map_of_no_coefficients_is_refused(values):
    with pytest.raises(InputError, match="no coefficients"):
        Projector(Geometry.around(GRID, (0,)), camera=GammaCamera(attenuation_map=values))


def test_body_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r"the body has shape \(20, 18, 22\)"):
        Projector(Geometry.around(GRID, (0,)), camera=GammaCamera(mu_per_cm=0.1, body=BODY))
    with pytest.raises(InputError, match="the body holds float64"):
        Projector(Geometry.around(GRID, (0,)), camera=GammaCamera(mu_per_cm=0.1, body=np.ones(GRID.shape)))


def test_cone_beam_is_refused():
    view = View.c_arm((8, 8), (1.0, 1.0), 0, 0, source_detector_mm=1100, source_isocenter_mm=750)
    with pytest.raises(UsageError, match="no focal spot"):
        project(np.ones(GRID.shape), Geometry(GRID, (view,)), camera=GammaCamera())


def test_tilted_detector_is_refused():
    tilted = View((8, 8), (4.0, 4.0), (0.0, -100.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.6, -0.8))
    with pytest.raises(UsageError, match="view 0 looks along"):
        backproject([np.ones((8, 8))], Geometry(GRID, (tilted,)), camera=GammaCamera())


@pytest.mark.parametrize("angles", [(0, 90), (20, 110, 250)])
@pytest.mark.parametrize("spacing", [None, (3.0, 5.0)])
def test_code_of_the_gpu_agrees_with_the_processor(angles, spacing):
    geometry = Geometry.around(Grid(BODY.shape, (4.0, 4.0, 4.0), (3.0, -2.0, 1.0)), angles, spacing_mm=spacing)
    camera = GammaCamera(mu_per_cm=0.15, body=BODY, intrinsic_mm=4.0, slope=0.05)
    cpu, host = Projector(geometry, camera=camera), Projector(geometry, camera=camera)
    grid, detectors = _native_grid(geometry.grid), [_native_detector(view) for view in geometry.views]
    host._native = _native.Projector(grid, detectors, "host", camera.native(), camera.attenuation_per_mm(BODY.shape))
    volume = np.random.default_rng(1).random(geometry.grid.shape, np.float32)
    images = cpu.forward(volume)
    for image, other in zip(host.forward(volume), images, strict=True):
        np.testing.assert_allclose(image, other, rtol=1e-4, atol=1e-4 * other.max())
    back = cpu.adjoint(images)
    np.testing.assert_allclose(host.adjoint(images), back, rtol=1e-4, atol=1e-4 * back.max())


@pytest.mark.gpu
@pytest.mark.parametrize("angles", [(0, 90), (20, 110, 250)])
def test_gpu_agrees_with_the_processor(angles):
    geometry = Geometry.around(Grid(BODY.shape, (4.0, 4.0, 4.0)), angles)
    camera = GammaCamera(mu_per_cm=0.15, body=BODY, intrinsic_mm=4.0, slope=0.05)
    try:
        gpu = Projector(geometry, camera=camera, device="cuda")
    except DeviceError as error:
        pytest.skip(str(error))
    cpu = Projector(geometry, camera=camera)
    volume = np.random.default_rng(1).random(geometry.grid.shape, np.float32)
    images = cpu.forward(volume)
    for image, other in zip(gpu.forward(volume), images, strict=True):
        np.testing.assert_allclose(image, other, rtol=1e-4, atol=1e-4 * other.max())
    back = cpu.adjoint(images)
    np.testing.assert_allclose(gpu.adjoint(images), back, rtol=1e-4, atol=1e-4 * back.max())
