import numpy as np
import pytest

from photopeak.exporters.phantoms.camera import Camera
from photopeak.exporters.phantoms.livers import Liver, Lobe, Scan, body_views, liver_views, random_liver, voxelise
from photopeak.kernels import Grid, View

NONE = np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0)
CENTER = np.array([-40.0, 0.0, 10.0])
GRID = Grid((48, 32, 48), (8.0, 8.0, 8.0))


def ball(radius=40.0):
    return Liver((Lobe(np.zeros(3), np.full(3, radius), np.zeros(3)),), (), NONE, CENTER)


def views(*angles, size=8.0, shape=(30, 30)):
    return [View.gamma_camera(shape, (size, size), angle) for angle in angles]


@pytest.mark.parametrize("angle", [0, 90, 215])
def test_ideal_views_of_a_ball_are_its_chords(angle):
    (image,) = liver_views(ball(), views(angle, size=4.0, shape=(60, 60)), Scan())
    assert image.sum() * 16 == pytest.approx(4 / 3 * np.pi * 40**3, rel=0.005)
    assert image.max() == pytest.approx(80, rel=0.01)
    place = np.unravel_index(image.argmax(), image.shape)
    seen = views(angle, size=4.0, shape=(60, 60))[0].project(CENTER)
    assert np.abs(place - seen).max() < 1.5


def test_attenuation_weakens_a_small_ball_by_its_depth():
    small = ball(6.0)
    (ideal,), (dim,) = (liver_views(small, views(0), Scan(attenuation_per_cm=mu)) for mu in (0.0, 0.15))
    depth = 115 * np.sqrt(1 - (40 / 170) ** 2)
    assert dim.sum() / ideal.sum() == pytest.approx(np.exp(-0.015 * depth), rel=0.01)


def test_camera_spreads_by_the_distance_and_keeps_counts():
    small, camera = ball(5.0), Camera()
    sharp, blurred = (liver_views(small, views(0, size=4.0, shape=(60, 60)), Scan(used))[0] for used in (None, camera))
    assert blurred.sum() == pytest.approx(sharp.sum(), rel=1e-3)
    columns = 4.0 * np.arange(60)

    def variance(image):
        weight = image.sum(axis=0) / image.sum()
        return weight @ columns**2 - (weight @ columns) ** 2

    sigma = camera.fwhm_mm(250.0) / 2.3548
    assert variance(blurred) - variance(sharp) == pytest.approx(sigma**2, rel=0.05)


def test_views_of_the_body_are_its_chords_attenuated():
    (image,) = body_views((170.0, 115.0), views(0), Scan(attenuation_per_cm=0.15))
    row = image[len(image) // 2]
    assert row[15] == pytest.approx((1 - np.exp(-0.015 * 230)) / 0.015, rel=0.02)


def test_voxels_hold_the_volume_of_a_ball():
    assert voxelise(ball(), GRID).sum() * GRID.voxel_ml == pytest.approx(4 / 3 * np.pi * 64, rel=0.01)


@pytest.mark.parametrize("seed", range(4))
def test_livers_are_of_one_piece_lie_in_the_body_and_differ(seed):
    label = pytest.importorskip("scipy.ndimage").label
    found = voxelise(random_liver(seed), GRID, finer=1)
    volume = found.sum() * GRID.voxel_ml
    assert 800 < volume < 2600
    assert label(found > 0.5)[1] == 1
    _, y, x = GRID.axes()
    outside = (x / 170) ** 2 + (y[:, None] / 115) ** 2 > 1
    assert found[:, outside].sum() < 0.002 * found.sum()
    other = voxelise(random_liver(seed + 1), GRID, finer=1)
    assert np.abs(found - other).sum() > 0.05 * found.sum()


def test_left_lobe_tapers_and_visceral_face_is_concave():
    found = voxelise(random_liver(3), GRID, finer=1) > 0.5
    _, y, x = GRID.axes()
    depth = found.any(axis=0).sum(axis=0)  # of each sagittal plane along y
    filled = np.flatnonzero(depth)
    assert depth[filled[-2]] < 0.7 * depth.max()
    middles = np.argwhere(found)[:, ::-1] * 8.0
    pairs = np.random.default_rng(0).choice(len(middles), (2, 4000))
    between = ((middles[pairs[0]] + middles[pairs[1]]) / 2 / 8.0).round().astype(int)
    assert found[between[:, 2], between[:, 1], between[:, 0]].mean() < 0.995
    assert len(y) < len(x)
