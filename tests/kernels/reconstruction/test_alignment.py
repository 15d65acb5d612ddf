"""Errors of a geometry are found from images of objects that nobody marked."""

import numpy as np
import pytest

from photopeak.kernels import Geometry, Grid, View
from photopeak.kernels.errors import InputError, UsageError
from photopeak.kernels.reconstruction.adjustments import adjusted
from photopeak.kernels.reconstruction.alignment import calibrate_images

GRID = Grid((64, 64, 64), (4.0, 4.0, 4.0))
ORIGIN = (0.0, 0.0, 0.0)
CENTERS = np.random.default_rng(0).uniform(-45, 45, (8, 3))
ELLIPSOIDS = (((-60.0, -20.0, 10.0), (75.0, 55.0, 65.0)), ((10.0, -35.0, 35.0), (55.0, 35.0, 35.0)))


def line_integrals(view, noise=0.0, width=6.0, seed=0):
    """Return line integrals of Gaussians along every ray of a view."""
    pixels = view.pixels_mm()
    along = np.broadcast_to(view.looking, pixels.shape)
    if view.source_mm is not None:
        along = pixels - view.source_mm
        along = along / np.linalg.norm(along, axis=-1, keepdims=True)
    total = np.random.default_rng(seed).normal(0, noise, view.shape)
    for weight, center in enumerate(CENTERS, start=1):
        offset = pixels - center
        distance2 = (offset**2).sum(axis=-1) - (offset * along).sum(axis=-1) ** 2
        total += weight * np.exp(-distance2 / (2 * width**2))
    return total


def stand(*directions):
    return Geometry(
        GRID,
        tuple(
            View.c_arm((160, 160), (2.0, 2.0), *angles, source_detector_mm=1000.0, source_isocenter_mm=700.0)
            for angles in directions
        ),
    )


def with_errors(geometry, *values, noise=0.05):
    """Return what views with errors see; the first has none."""
    views = [geometry.views[0]]
    views += [
        adjusted(view, ORIGIN, np.array(one, float)) for view, one in zip(geometry.views[1:], values, strict=True)
    ]
    return [line_integrals(view, noise, seed=seed) for seed, view in enumerate(views)]


def livers(counts, attenuation_per_cm, seed):
    """Return Poisson counts of two overlapping ellipsoids in a body, anterior and left lateral, pixels of 4 mm."""
    random = np.random.default_rng(seed)
    z, y, x = np.meshgrid(*(4.0 * (np.arange(80) - 39.5),) * 3, indexing="ij")
    tissue = 0.4 * attenuation_per_cm * ((x / 155) ** 2 + (y / 110) ** 2 < 1)
    activity = np.zeros(z.shape, bool)
    for center, radii in ELLIPSOIDS:
        px, py, pz = np.add(center, random.normal(0, 6, 3))
        a, b, c = np.array(radii) * random.uniform(0.85, 1.15, 3)
        activity |= ((x - px) / a) ** 2 + ((y - py) / b) ** 2 + ((z - pz) / c) ** 2 < 1
    anterior = (activity * np.exp(tissue / 2 - np.cumsum(tissue, axis=1))).sum(axis=1)
    lateral = (activity * np.exp(tissue / 2 - np.cumsum(tissue[:, :, ::-1], axis=2)[:, :, ::-1])).sum(axis=2)
    scale = counts / (anterior.sum() + lateral.sum())
    return [random.poisson(scale * view[::-1]) for view in (anterior, lateral)]


CAMERAS = Geometry.around(Grid((80, 80, 80), (4.0, 4.0, 4.0)), (0, 90))


@pytest.mark.parametrize(("counts", "tolerance_mm"), [(5e4, 2.0), (1e6, 0.5)])
@pytest.mark.parametrize("rows", [-7, 0, 3])
def test_table_between_gamma_cameras_is_found(counts, tolerance_mm, rows):
    """Half a pixel from 50,000 counts, an eighth from a million, at shifts up to 28 mm."""
    anterior, lateral = livers(counts, 0.0, seed=rows + 7)
    found = calibrate_images([anterior, np.roll(lateral, rows, axis=0)], CAMERAS, attenuated=False)
    assert found.changes[2].value == pytest.approx(-4 * rows, abs=tolerance_mm)
    assert [change.determined for change in found.changes] == [False, False, True]
    assert found.unit == "%"
    assert found.after < 0.5
    assert found.before > 10 or rows == 0


def test_standard_error_of_the_table_is_honest():
    """Without attenuation, over 8 livers of 50,000 counts, errors are as large as they are said to be."""
    found = [calibrate_images(livers(5e4, 0.0, seed), CAMERAS, attenuated=False).changes[2] for seed in range(8)]
    told = np.mean([change.error for change in found])
    assert np.sqrt(np.mean([change.value**2 for change in found])) < 2 * told
    assert told < 1.0


@pytest.mark.parametrize("seed", range(3))
def test_attenuation_biases_the_table_by_two_pixels_at_most(seed):
    anterior, lateral = livers(1e6, 0.15, seed)
    found = calibrate_images([anterior, np.roll(lateral, 8, axis=0)], CAMERAS)
    assert found.changes[2].value == pytest.approx(-32, abs=8.5)
    assert found.after < found.before


@pytest.mark.parametrize("directions", [((0, 0), (90, 0)), ((-30, 10), (50, -20))])
@pytest.mark.parametrize(
    ("fault", "values", "place", "tolerance"),
    [
        ("shift", [0, 0, 0, 0, 0, 0, 0, -8, 0], 7, 0.6),
        ("magnification", [0, 0, 0, 0, 0, 0, 0, 0, 3], 8, 0.2),
        ("rotation", [0, 0, 0, 0, -1, 0, 0, 0, 0], 4, 0.2),
    ],
)
def test_error_of_a_cone_beam_is_found(directions, fault, values, place, tolerance):
    geometry = stand(*directions)
    found = calibrate_images(with_errors(geometry, values), geometry, adjust=[fault])
    [change] = [one for one in found.changes if one.parameter.index == place]
    assert change.value == pytest.approx(values[place], abs=tolerance)
    assert found.after < 0.2 < found.before


def test_large_motion_of_the_table_is_found():
    """60 mm, more than the object is wide."""
    geometry = stand((0, 0), (90, 0))
    found = calibrate_images(with_errors(geometry, [0, 0, 60, 0, 0, 0, 0, 0, 0]), geometry)
    assert found.changes[2].value == pytest.approx(60, abs=2)
    assert found.after < 0.5


def test_three_cameras_find_the_table_across_the_patient():
    """Two upright views say nothing of it; three have centres of gravity that must be one point."""
    geometry = Geometry.around(GRID, (0, 60, 120))
    values = [[0, 0, 8.0, 0, 0, 0, 0, 0, 0], [0, 0, -4.0, 0, 0, 0, 5.0, 0, 0]]
    images = [np.maximum(1000 * image, 0) for image in with_errors(geometry, *values, noise=0.0)]
    found = calibrate_images(images, geometry, adjust=["shift"], attenuated=False)
    truth = [view.project(CENTERS) for view in geometry.views]
    corrected = [view.project(CENTERS) for view in found.geometry.views]
    seen = [
        adjusted(view, ORIGIN, np.array(one)).project(CENTERS)
        for view, one in zip(geometry.views[1:], values, strict=True)
    ]
    # One row of conditions for three in-plane shifts: centres agree, and rows are right.
    assert np.allclose(corrected[1][:, 0], seen[0][:, 0], atol=0.05)
    assert np.allclose(corrected[2][:, 0], seen[1][:, 0], atol=0.05)
    assert np.abs(truth[1] - seen[0]).max() > 1
    middles = [image.sum(axis=0) @ np.arange(64) / image.sum() for image in images]
    center = (np.arange(1, 9) @ CENTERS) / 36
    # In the corrected geometry one point is seen at all three centres of gravity.
    sees = np.array([np.array(view.right)[:2] / view.spacing_mm[1] for view in found.geometry.views])
    rest = np.array(middles) - [view.project(np.zeros(3))[1] for view in found.geometry.views]
    point, left_over, *_ = np.linalg.lstsq(sees, rest, rcond=None)
    assert np.sqrt(left_over[0]) < 0.05
    assert np.linalg.norm(point - center[:2]) < 6


def test_coarse_images_lie_where_fine_ones_do():
    """Sizes that no factor divides: the cut changes the middle, not the place."""
    view = View.c_arm((131, 127), (2.0, 2.0), 20, 10, source_detector_mm=1000.0, source_isocenter_mm=700.0)
    other = View.c_arm((131, 127), (2.0, 2.0), 110, 0, source_detector_mm=1000.0, source_isocenter_mm=700.0)
    geometry = Geometry(GRID, (view, other))
    found = calibrate_images(with_errors(geometry, np.zeros(9)), geometry, adjust=["shift"])
    assert found.changes[1].value == pytest.approx(0, abs=0.2)


IMAGES = [np.ones((64, 64)), np.ones((64, 64))]
SIDES = Geometry.around(GRID, (0, 90))


@pytest.mark.parametrize(
    ("images", "geometry", "error", "words"),
    [
        (IMAGES[:1], SIDES, UsageError, "1 images for 2 views"),
        (IMAGES[:1], Geometry.around(GRID, (0,)), UsageError, "one view alone"),
        ([IMAGES[0], np.ones((8, 64))], SIDES, InputError, "view 2: its image should be 64 x 64"),
        ([IMAGES[0], np.full((64, 64), np.nan)], SIDES, InputError, "view 2"),
        ([IMAGES[0], np.zeros((64, 64))], SIDES, InputError, "view 2"),
        (IMAGES, Geometry.around(GRID, (0, 180)), InputError, "no two views share one pencil"),
    ],
)
def test_bad_input_is_refused(images, geometry, error, words):
    with pytest.raises(error, match=words):
        calibrate_images(images, geometry)


def test_images_without_structure_determine_nothing():
    """A uniform field looks alike wherever it lies along the planes' normal."""
    with pytest.raises(InputError, match="determine none"):
        calibrate_images([np.full((64, 64), 1e-3)] * 2, SIDES)


def test_shift_out_of_sight_is_no_solution():
    """A wide search must not move the views apart until they share nothing to disagree about."""
    row, column = np.mgrid[-16:16, -16:16] + 0.5
    blobs = [200 * np.exp(-((row - down) ** 2 + column**2) / 18) for down in (0, 3)]
    views = Geometry.around(Grid((32, 32, 32), (4.0, 4.0, 4.0)), (0, 90))
    found = calibrate_images(np.random.default_rng(0).poisson(blobs), views)
    assert found.changes[2].value == pytest.approx(-12, abs=0.5)
