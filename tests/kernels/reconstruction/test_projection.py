"""Projectors against closed forms, and against their own transpose."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photopeak.kernels import _native
from photopeak.kernels.errors import DeviceError, InputError, UsageError
from photopeak.kernels.reconstruction.geometry import Geometry, Grid, View
from photopeak.kernels.reconstruction.projection import (
    Projector,
    _native_detector,
    _native_grid,
    backproject,
    project,
)


def turned(angles):
    """Return a rotation matrix for three angles [degrees] around x, y and z."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians(angles)):
        turn = np.eye(3)
        i, j = [k for k in range(3) if k != axis]
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix


def view_from(angles, *, shape=(24, 20), spacing=(2.5, 3.0), source=None):
    """Return a view turned in space, with a focal spot `source` mm from the detector that is 120 mm off."""
    right, down, _ = turned(angles).T
    looking = np.cross(right, down)
    center = tuple(-120.0 * looking)
    return View(shape, spacing, center, tuple(right), tuple(down), source and tuple(center + source * looking))


@cache
def ellipsoid(grid, semi_axes, center, fine=3):
    """Return the share of each voxel that lies inside an ellipsoid [1]."""
    z, y, x = (
        (axis[:, None] + ((np.arange(fine) + 0.5) / fine - 0.5) * spacing).ravel()
        for axis, spacing in zip(grid.axes(), grid.spacing_mm, strict=True)
    )
    (u, v, w), (a, b, c) = center, semi_axes
    squares = ((x - u) / a) ** 2 + ((y - v) / b)[:, None] ** 2 + ((z - w) / c)[:, None, None] ** 2
    slices, rows, columns = grid.shape
    return (squares < 1).reshape(slices, fine, rows, fine, columns, fine).mean(axis=(1, 3, 5)).astype(np.float32)


def chords(view, semi_axes, center):
    """Return how far each ray runs through an ellipsoid [mm]."""
    pixels = view.pixels_mm()
    if view.source_mm is None:
        direction = np.broadcast_to(view.looking, pixels.shape)
    else:
        direction = np.subtract(view.source_mm, pixels)
        direction = direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    start, step = (pixels - center) / semi_axes, direction / semi_axes
    a, b, c = (step * step).sum(-1), (start * step).sum(-1), (start * start).sum(-1) - 1
    return 2 * np.sqrt(np.maximum(b * b - a * c, 0)) / a


def mismatch(projector, seed=0):
    """Return |<Ax, y> - <x, A'y>| / (|Ax| |y|), in double precision."""
    random = np.random.default_rng(seed)
    volume = random.normal(size=projector.geometry.grid.shape).astype(np.float32)
    images = [random.normal(size=view.shape).astype(np.float32) for view in projector.geometry.views]
    seen = np.concatenate([image.ravel().astype(float) for image in projector.forward(volume)])
    given_images = np.concatenate([image.ravel().astype(float) for image in images])
    back = projector.adjoint(images).astype(float)
    scale = np.linalg.norm(seen) * np.linalg.norm(given_images)
    return abs(seen @ given_images - (volume.astype(float) * back).sum()) / scale


angles = st.floats(-180, 180)


@settings(max_examples=40)
@given(
    turns=st.lists(st.tuples(angles, angles, angles), min_size=1, max_size=3),
    source=st.sampled_from([None, 200.0, 500.0]),
    shape=st.tuples(*[st.integers(1, 20)] * 3),
    spacing=st.tuples(*[st.floats(1, 9)] * 3),
    pixels=st.tuples(*[st.integers(1, 30)] * 2),
)
def test_adjoint_is_the_transpose_for_any_geometry(turns, source, shape, spacing, pixels):
    views = tuple(view_from(turn, source=source, shape=pixels) for turn in turns)
    projector = Projector(Geometry(Grid(shape, spacing, (3.0, -2.0, 1.0)), views))
    random = np.random.default_rng(0)
    volume = random.random(shape, np.float32)
    images = [random.random(pixels, np.float32) for _ in views]
    seen = sum(
        (image.astype(float) * other).sum() for image, other in zip(projector.forward(volume), images, strict=True)
    )
    back = (projector.adjoint(images).astype(float) * volume).sum()
    assert back == pytest.approx(seen, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("source", [None, 400.0])
@pytest.mark.parametrize("turn", [(90, 0, 0), (90, 0, 90), (90, 0, 30), (70, 20, 45), (10, 5, 0), (100, 170, -60)])
def test_adjoint_is_the_transpose_on_random_data(turn, source):
    geometry = Geometry(Grid((30, 28, 26), (2.0, 2.5, 3.0)), (view_from(turn, source=source),))
    assert mismatch(Projector(geometry)) < 1e-5


@pytest.mark.parametrize("source", [None, 400.0])
@pytest.mark.parametrize(
    "turn", [(90, 0, 0), (90, 0, 90), (90, 0, 37), (70, 20, 45), (0, 0, 0), (10, 5, 0), (80, 0, 200)]
)
def test_ellipsoid_projects_as_its_closed_form(turn, source):
    grid = Grid((128, 128, 128), (1.0, 1.0, 1.0))
    semi_axes, center = (54.0, 45.0, 49.0), (4.0, -5.0, 2.0)
    view = view_from(turn, source=source, shape=(64, 60), spacing=(2.0, 2.0))
    (seen,) = project(ellipsoid(grid, semi_axes, center), Geometry(grid, (view,)))
    truth = chords(view, semi_axes, center)
    error = abs(seen - truth) / truth.max()
    assert error[truth > truth.max() / 2].max() < 0.005
    assert error.mean() < 0.003  # with the silhouette, where voxels as such make the ellipsoid soft
    assert seen.sum() == pytest.approx(truth.sum(), rel=2e-3)


@pytest.mark.parametrize("source", [None, 400.0])
@pytest.mark.parametrize("turn", [(90, 0, 0), (90, 0, 40), (70, 20, 45), (5, 10, 0)])
def test_bits_do_not_depend_on_threads(turn, source):
    geometry = Geometry(
        Grid((30, 28, 26), (2.0, 2.5, 3.0)),
        (view_from(turn, source=source), view_from((90, 0, 90), source=source, shape=(17, 33))),
    )
    one, three = Projector(geometry), Projector(geometry, threads=3)
    volume = np.random.default_rng(1).random(geometry.grid.shape, np.float32)
    images = one.forward(volume)
    for image, other in zip(images, three.forward(volume), strict=True):
        np.testing.assert_array_equal(image, other)
    np.testing.assert_array_equal(one.adjoint(images), three.adjoint(images))


TOP = View((18, 22), (2.5, 3.0), (0.0, 0.0, 60.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
ORTHOGONAL = {
    "biplane": [(0, 0.0), (90, 0.0)],
    "opposite": [(0, 0.0), (180, 0.0)],
    "right": [(270, 0.0)],
    "shifted": [(0, 6.0), (90, -5.0)],
}


@pytest.mark.parametrize("views", ORTHOGONAL.values(), ids=ORTHOGONAL)
@pytest.mark.parametrize("top", [False, True])
def test_orthogonal_views_are_sums_along_axes(views, top):
    grid = Grid((20, 18, 22), (4.0, 2.5, 3.0))
    cameras = [
        View.gamma_camera((20, columns), (4.0, spacing), angle).moved((shift if angle % 180 == 0 else 0.0, 0.0, 4.0))
        for angle, shift in views
        for columns, spacing in [(22, 3.0) if angle % 180 == 0 else (18, 2.5)]
    ]
    cameras += [TOP] * top
    oblique = View.gamma_camera((20, 22), (4.0, 3.0), 33)
    fast, general = Projector(Geometry(grid, tuple(cameras))), Projector(Geometry(grid, (*cameras, oblique)))
    volume = np.random.default_rng(0).random(grid.shape, np.float32)
    images = fast.forward(volume)
    for image, other in zip(images, general.forward(volume)[:-1], strict=True):
        np.testing.assert_allclose(image, other, rtol=1e-5, atol=1e-4)
    none = np.zeros(oblique.shape, np.float32)
    np.testing.assert_allclose(fast.adjoint(images), general.adjoint([*images, none]), rtol=1e-5, atol=1e-2)
    assert mismatch(fast) < 1e-6


def test_anterior_and_lateral_views_are_numpy_sums():
    grid = Grid((20, 18, 22), (4.0, 2.5, 3.0))
    lateral = View.gamma_camera((20, 18), (4.0, 2.5), 90)
    geometry = Geometry(grid, (View.gamma_camera((20, 22), (4.0, 3.0), 0), lateral))
    volume = np.random.default_rng(0).random(grid.shape, np.float32)
    anterior, side = project(volume, geometry)
    np.testing.assert_allclose(anterior, 2.5 * volume.sum(axis=1)[::-1], rtol=1e-5)
    np.testing.assert_allclose(side, 3 * volume.sum(axis=2)[::-1], rtol=1e-5)
    np.testing.assert_allclose(
        backproject([anterior, side], geometry),
        2.5 * anterior[::-1, None, :] + 3 * side[::-1, :, None],
        rtol=1e-5,
    )


def test_cone_beam_ends_at_the_detector_and_the_focal_spot():
    grid = Grid((9, 101, 9), (2.0, 2.0, 2.0))
    view = View((1, 1), (2.0, 2.0), (0.0, -50.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 30.0, 0.0))
    (seen,) = project(np.ones(grid.shape), Geometry(grid, (view,)))
    assert seen[0, 0] == pytest.approx(82)  # 41 voxels have their centre between the two
    (through,) = project(np.ones(grid.shape), Geometry(grid, (replace(view, source_mm=None),)))
    assert through[0, 0] == pytest.approx(202)


def test_rays_that_miss_see_nothing():
    grid = Grid((8, 8, 8), (1.0, 1.0, 1.0))
    away = View.gamma_camera((8, 8), (1.0, 1.0), 20, isocenter_mm=(500.0, 0.0, 0.0))
    (seen,) = project(np.full(grid.shape, 1e9), Geometry(grid, (away,)))
    assert not seen.any()
    assert not backproject([np.ones((8, 8))], Geometry(grid, (away,))).any()


GEOMETRY = Geometry.around(Grid((4, 5, 6), (1.0, 1.0, 1.0)), (0, 33))


def test_volume_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r"the volume has shape \(4, 5\), and the grid \(4, 5, 6\)"):
        project(np.ones((4, 5)), GEOMETRY)


def test_volume_of_no_numbers_is_refused():
    with pytest.raises(InputError, match="complex128"):
        project(np.ones((4, 5, 6), complex), GEOMETRY)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_voxel_that_is_not_finite_is_refused(value):
    volume = np.ones((4, 5, 6), np.float32)
    volume[1, 2, 3] = value
    with pytest.raises(InputError, match=r"the volume has the value (nan|inf) at \(1, 2, 3\)"):
        project(volume, GEOMETRY)


def test_image_that_is_not_finite_is_refused():
    images = [np.ones(view.shape, np.float32) for view in GEOMETRY.views]
    images[1][2, 3] = np.nan
    with pytest.raises(InputError, match=r"image 1 has the value nan at \(2, 3\)"):
        backproject(images, GEOMETRY)


def test_volume_that_no_memory_holds_is_refused():
    with pytest.raises(UsageError, match="a volume of 8000000000 voxels is too large"):
        Projector(Geometry(Grid((2000, 2000, 2000), (1.0, 1.0, 1.0)), GEOMETRY.views))


@pytest.mark.parametrize("edge", [2**16, 2**32, 2**40])
def test_view_of_too_many_pixels_is_refused(edge):
    view = View.gamma_camera((edge, edge), (1.0, 1.0), 30)
    with pytest.raises(UsageError, match="pixels is too large"):
        Projector(Geometry(Grid((4, 4, 4), (1.0, 1.0, 1.0)), (view,)))


@pytest.mark.parametrize("edge", [2**21, 2**31, 2**40])
def test_volume_of_too_many_voxels_is_refused(edge):
    with pytest.raises(UsageError, match="voxels is too large"):
        Projector(Geometry.around(Grid((edge, edge, edge), (1.0, 1.0, 1.0)), (0,), shape=(4, 4)))


def test_wrong_number_of_images_is_refused():
    with pytest.raises(InputError, match="1 images came for 2 views"):
        backproject([np.ones((4, 6))], GEOMETRY)


def test_image_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match="image 0 has shape"):
        backproject([np.ones((4, 7)), np.ones((4, 6))], GEOMETRY)


def test_no_threads_and_no_device_are_refused():
    with pytest.raises(UsageError, match="threads is 0"):
        Projector(GEOMETRY, threads=0)
    with pytest.raises(UsageError, match="'tpu' is no device"):
        Projector(GEOMETRY, device="tpu")


def on_host(geometry):
    """Return a projector that runs the GPU's code on the processor."""
    projector = Projector(geometry)
    grid, detectors = _native_grid(geometry.grid), [_native_detector(view) for view in geometry.views]
    projector._native = _native.Projector(grid, detectors, "host")
    return projector


@pytest.mark.parametrize("source", [None, 200.0])
@pytest.mark.parametrize("turn", [(90, 0, 0), (90, 0, 90), (90, 0, 45), (70, 20, 45), (5, 10, 0), (90, 0, 200)])
def test_code_of_the_gpu_agrees_with_the_processor(turn, source):
    views = (view_from(turn, source=source), view_from((60, 30, 0), source=source, shape=(7, 30)))
    geometry = Geometry(Grid((15, 18, 16), (3.0, 2.5, 4.0), (3.0, -2.0, 1.0)), views)
    host, cpu = on_host(geometry), Projector(geometry)
    volume = np.random.default_rng(1).random(geometry.grid.shape, np.float32)
    images = cpu.forward(volume)
    for image, other in zip(host.forward(volume), images, strict=True):
        np.testing.assert_allclose(image, other, rtol=1e-4, atol=1e-4 * other.max())
    back = cpu.adjoint(images)
    np.testing.assert_allclose(host.adjoint(images), back, rtol=1e-4, atol=1e-4 * back.max())
    assert mismatch(host) < 1e-5


@pytest.mark.gpu
@pytest.mark.parametrize("source", [None, 400.0])
@pytest.mark.parametrize("turn", [(90, 0, 0), (90, 0, 40), (70, 20, 45), (5, 10, 0)])
def test_gpu_agrees_with_the_processor(turn, source):
    geometry = Geometry(Grid((30, 28, 26), (2.0, 2.5, 3.0)), (view_from(turn, source=source),))
    try:
        gpu = Projector(geometry, device="cuda")
    except DeviceError as error:
        pytest.skip(str(error))
    cpu = Projector(geometry)
    volume = np.random.default_rng(1).random(geometry.grid.shape, np.float32)
    images = cpu.forward(volume)
    np.testing.assert_allclose(gpu.forward(volume)[0], images[0], rtol=1e-4, atol=1e-4 * images[0].max())
    back = cpu.adjoint(images)
    np.testing.assert_allclose(gpu.adjoint(images), back, rtol=1e-4, atol=1e-4 * back.max())
