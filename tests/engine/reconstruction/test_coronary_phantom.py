"""Three angiograms of a coronary phantom decide which way positioner angles count.

Vukicevic et al., Scientific Reports 8:1711, 2018. The table moved between the runs, which no tag tells, so that landmarks
meet only after calibration; with angles of the wrong sign they do not meet at all.
"""

from dataclasses import replace

import numpy as np
import pytest

from photopeak.engine.reconstruction.views import read_views
from photopeak.kernels import Geometry, View
from photopeak.kernels.reconstruction.alignment import calibrate_images
from photopeak.kernels.reconstruction.calibration import calibrate_landmarks, triangulate

ANGLES = ((-26.5, -32.7), (24.0, -18.8), (-29.3, 25.5))
DISTANCES_MM = (931.0, 939.0, 976.0)
# Row and column, picked by eye to about a pixel: where contrast begins in the trunk, and ends in six branches.
LANDMARKS = (
    ((168.3, 417.7), (323.0, 213.8), (136.4, 187.1), (69.8, 188.5), (150.5, 134.5), (251.8, 404.6), (230.2, 384.9)),
    ((285.5, 177.7), (477.7, 111.1), (236.3, 175.8), (202.1, 94.7), (302.9, 61.4), (294.0, 344.1), (256.9, 373.2)),
    ((384.0, 410.7), (476.3, 187.1), (157.0, 160.3), (193.1, 168.8), (272.4, 110.6), (225.5, 374.6), (147.2, 346.5)),
)


@pytest.fixture(scope="module")
def phantom(shared_data):
    return read_views([shared_data / "xa" / f"phantom_IM{number}.dcm" for number in (5, 6, 7)])


def residual(geometry, views=(0, 1, 2)):
    """Return root mean square reprojection after the table's motion was fitted [pixels]."""
    chosen = Geometry(geometry.grid, tuple(geometry.views[index] for index in views))
    return calibrate_landmarks(chosen, [np.array(LANDMARKS[index]) for index in views], error_px=1.0).after


def signed(geometry, primary, secondary):
    """Return the views that other signs would give."""
    return Geometry(
        geometry.grid,
        tuple(
            View.c_arm(
                (512, 512),
                (0.390625, 0.390625),
                primary * first,
                secondary * second,
                source_detector_mm=distance,
                source_isocenter_mm=720.0,
            )
            for (first, second), distance in zip(ANGLES, DISTANCES_MM, strict=True)
        ),
    )


def test_header_gives_these_views(phantom):
    assert phantom.kind == "xa"
    assert phantom.geometry.views == signed(phantom.geometry, 1, 1).views


def test_signs_of_the_header_make_landmarks_meet(phantom):
    """0.8 pixels, as well as they were picked; 0.25 mm in the phantom."""
    assert residual(phantom.geometry) < 1.0


@pytest.mark.parametrize(("primary", "secondary", "least"), [(-1, 1, 30.0), (1, -1, 30.0), (-1, -1, 3.0)])
def test_other_signs_do_not(phantom, primary, secondary, least):
    """One sign wrong: 42 pixels; both wrong, which mirrors the phantom and is nearly the same from afar: 3.9 pixels."""
    assert residual(signed(phantom.geometry, primary, secondary)) > least


@pytest.mark.parametrize("pair", [(0, 1), (0, 2), (1, 2)])
def test_every_pair_of_views_prefers_the_signs_of_the_header(phantom, pair):
    right = residual(phantom.geometry, pair)
    wrong = [residual(signed(phantom.geometry, *signs), pair) for signs in ((-1, 1), (1, -1), (-1, -1))]
    assert right < 0.7
    assert min(wrong) > 2 * right


def test_vessels_are_dark_and_become_positive(phantom):
    """Line integrals are larger in vessels than beside them, and 0 behind the shutter."""
    for image, view in zip(phantom.images, LANDMARKS, strict=True):
        assert image.shape == (512, 512)
        assert not image[:5].any()
        inside = np.median(
            [
                image[round(row) - 3 : round(row) + 4, round(column) - 3 : round(column) + 4].max()
                for row, column in view
            ]
        )
        assert inside > 3 * np.median(image[20:490, 20:490])


def test_nominal_table_is_wrong(phantom):
    """Without calibration the landmarks miss each other by tens of pixels: the phantom was moved between runs."""
    found = calibrate_landmarks(phantom.geometry, [np.array(one) for one in LANDMARKS], error_px=1.0)
    assert found.before > 20
    assert found.after_mm < 0.3
    heads = {change.view: change.value for change in found.changes if change.parameter.name == "table to the head"}
    assert heads[2] == pytest.approx(-31.7, abs=3)
    assert replace(phantom, geometry=found.geometry).geometry.views[0] == phantom.geometry.views[0]


def vessels(image):
    """Return line integrals of vessels alone: well above what four fifths of the image hold, off its edges."""
    inside = np.zeros(image.shape, bool)
    inside[13:498, 13:498] = True
    return np.where(inside & (image > np.percentile(image, 80) + 0.25), image, 0)


def missed(geometry, views):
    """Return by how far landmarks miss each other [pixels]."""
    seen = [np.array(LANDMARKS[index]) for index in views]
    points = triangulate(geometry, seen)
    return np.sqrt(np.mean([(view.project(points) - one) ** 2 for view, one in zip(geometry.views, seen, strict=True)]))


@pytest.mark.parametrize("pair", [(0, 1), *(pytest.param(pair, marks=pytest.mark.slow) for pair in ((0, 2), (1, 2)))])
def test_images_alone_find_the_table(phantom, pair):
    """Landmarks that calibration never saw miss by 10 to 25 pixels before, by less than one after."""
    geometry = Geometry(phantom.geometry.grid, tuple(phantom.geometry.views[index] for index in pair))
    found = calibrate_images([vessels(phantom.images[index]) for index in pair], geometry)
    assert missed(geometry, pair) > 10
    assert missed(found.geometry, pair) < 1
    assert found.after < found.before / 4
