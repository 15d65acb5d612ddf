import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photopeak.exporters.phantoms.camera import Camera
from photopeak.exporters.phantoms.scene import Scene, ellipsoid, join, project, tube
from photopeak.exporters.phantoms.voxels import VoxelPhantom, project_voxels

SHARP = Camera(
    pixel_mm=2.0,
    shape=(128, 128),
    intrinsic_fwhm_mm=0.01,
    hole_mm=0.0,
    divergence=0.0,
    scatter_fraction=0.0,
    gap_mm=0.0,
)
BODY = ellipsoid((0, 0, 0), (90, 90, 90))


def in_air(sources, body=BODY):
    return Scene(sources, body, attenuation_per_mm=0.0)


angles = st.floats(0, 2 * np.pi)
sizes = st.floats(3, 40)


@settings(max_examples=30, deadline=None)
@given(a=sizes, b=sizes, c=sizes, turn=st.tuples(angles, angles, angles))
def test_an_ellipsoid_gives_all_its_counts_whatever_its_shape_and_direction(a, b, c, turn):
    q, _ = np.linalg.qr(np.random.default_rng(int(1e6 * sum(turn))).normal(size=(3, 3)))
    image = project(in_air(ellipsoid((3, -5, 7), (a, b, c), 2.0, q)), SHARP)
    assert image.sum() == pytest.approx(2 * 4 / 3 * np.pi * a * b * c, rel=1e-3)


def test_a_ball_projects_to_its_chords():
    image = project(in_air(ellipsoid((0, 0, 0), (40, 40, 40), 1.0)), SHARP)
    x = (np.arange(128) - 63.5) * 2.0
    chord = 2 * np.sqrt(np.maximum(40**2 - x[None] ** 2 - x[:, None] ** 2, 0))
    np.testing.assert_allclose(image / 4.0, chord, atol=0.4)


@pytest.mark.parametrize("depth", [5.0, 30.0, 77.0, 120.0])
@pytest.mark.parametrize("radius", [0.5, 3.0])
def test_a_point_at_depth_is_attenuated_exponentially(depth, radius):
    slab = ellipsoid((0, 0, 0), (1e5, 1e5, 90))
    source = ellipsoid((0, 0, -90 + depth), (radius, radius, radius), 1.0)
    image = project(Scene(source, slab, attenuation_per_mm=0.015), SHARP)
    ball = source.volume_mm3()[0] * np.exp(-0.015 * depth)
    mu_r = 0.015 * radius  # mean of exp over a ball
    ball *= 3 * (mu_r * np.cosh(mu_r) - np.sinh(mu_r)) / mu_r**3
    assert image.sum() == pytest.approx(ball, rel=2e-3)


def test_a_uniform_slab_gives_the_attenuated_integral():
    slab = ellipsoid((0, 0, 0), (1e6, 1e6, 80))
    nothing = ellipsoid((0, 0, 0), (1, 1, 1), 0.0)
    image = project(Scene(nothing, slab, background=3.0, attenuation_per_mm=0.012), SHARP)
    expected = 3 * 4 * (1 - np.exp(-0.012 * 160)) / 0.012
    assert image[64, 64] == pytest.approx(expected, rel=2e-3)


def test_the_posterior_view_mirrors_and_swaps_depth():
    source = ellipsoid((40, 10, -50), (8, 8, 8), 1.0)
    scene = Scene(source, BODY, attenuation_per_mm=0.0154)
    front, back = project(scene, SHARP), project(scene.posterior(), SHARP)
    weight = np.arange(128) - 63.5
    assert (front.sum(axis=0) @ weight) / front.sum() == pytest.approx(20, abs=0.3)
    assert (back.sum(axis=0) @ weight) / back.sum() == pytest.approx(-20, abs=0.3)
    surface = np.sqrt(90**2 - 40**2 - 10**2)
    path_front, path_back = surface - 50, surface + 50
    assert front.sum() / back.sum() == pytest.approx(np.exp(0.0154 * (path_back - path_front)), rel=0.02)


def test_a_tube_holds_its_volume_evenly():
    rod = tube(np.array([[0.0, -60, 0], [0, 60, 0]]), 6.0, 1.0)
    image = project(in_air(rod), SHARP)
    along = image.sum(axis=1)[44:84]
    assert image.sum() == pytest.approx(np.pi * 36 * 120, rel=0.02)
    assert along.std() / along.mean() < 0.05  # of balls 3 mm apart on pixels of 2 mm, before any blur


def test_overlapping_sources_add():
    one, two = ellipsoid((0, 0, 0), (20, 20, 20), 1.0), ellipsoid((5, 0, 0), (10, 10, 10), 2.0)
    both = project(in_air(join(one, two)), SHARP)
    np.testing.assert_allclose(both, project(in_air(one), SHARP) + project(in_air(two), SHARP), atol=1e-2)


def test_voxels_and_ellipsoids_give_the_same_image():
    grid = np.arange(-60, 61, 2.0)
    z, y, x = np.meshgrid(grid, grid, grid, indexing="ij")
    body = x**2 / 50**2 + y**2 / 55**2 + z**2 / 45**2 <= 1
    spot = (x - 15) ** 2 + (y + 10) ** 2 + (z - 5) ** 2 <= 14**2
    phantom = VoxelPhantom("test", spot.astype(np.float32), body, (2.0, 2.0, 2.0))
    camera = Camera(shape=(96, 96), pixel_mm=2.0, scatter_fraction=0.0, gap_mm=30.0)
    scene = Scene(ellipsoid((15, -10, 5), (14, 14, 14), 1.0), ellipsoid((0, 0, 0), (50, 55, 45)))
    exact, voxelised = project(scene, camera), project_voxels(phantom, camera)
    assert voxelised.sum() == pytest.approx(exact.sum(), rel=0.03)
    assert np.abs(voxelised - exact).max() < 0.06 * exact.max()


def test_turned_voxels_keep_their_counts():
    ball = np.zeros((41, 41, 41), np.float32)
    ball[12:20, 18:24, 20:30] = 1
    phantom = VoxelPhantom("brick", ball, ball > 0, (3.0, 3.0, 3.0))
    camera = Camera(shape=(128, 128), pixel_mm=2.0, scatter_fraction=0.0)
    flat = project_voxels(phantom, camera, 0.0, attenuation_per_mm=0.0)
    turned = project_voxels(phantom, camera, 33.0, attenuation_per_mm=0.0)
    assert turned.sum() == pytest.approx(flat.sum(), rel=0.02)
