"""Views agree on the planes that they share: exact for analytic objects, with noise of known size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photopeak.kernels import View
from photopeak.kernels.reconstruction.consistency import Pencil, compare_views, profiles


def gaussians(view, centers, width=12.0):
    """Return line integrals of isotropic Gaussians, which have a closed form for every ray."""
    pixels = view.pixels_mm()
    along = np.broadcast_to(view.looking, pixels.shape)
    if view.source_mm is not None:
        along = pixels - view.source_mm
        along = along / np.linalg.norm(along, axis=-1, keepdims=True)
    total = np.zeros(view.shape)
    for weight, center in enumerate(centers, start=1):
        offset = pixels - center
        distance2 = (offset**2).sum(axis=-1) - (offset * along).sum(axis=-1) ** 2
        total += weight * np.exp(-distance2 / (2 * width**2)) * np.sqrt(2 * np.pi) * width
    return total


CENTERS = [(10.0, -25.0, 30.0), (-40.0, 20.0, -20.0), (35.0, 30.0, 5.0)]


def c_arm(primary, secondary, **changes):
    options = {"source_detector_mm": 1000.0, "source_isocenter_mm": 700.0, **changes}
    return View.c_arm((120, 130), (2.5, 2.4), primary, secondary, **options)


@settings(max_examples=20)
@given(st.floats(-60, 0), st.floats(-40, 40), st.floats(30, 90), st.floats(-40, 40))
def test_cone_beams_of_one_object_agree(primary, secondary, other, tilt):
    """Any two focal spots measure the same integral over each plane of the pencil, to 1 % of the largest."""
    views = c_arm(primary, secondary), c_arm(other, tilt)
    found = profiles(gaussians(views[0], CENTERS), views[0], gaussians(views[1], CENTERS), views[1], pixels=2)
    assert np.abs(found.first - found.second).max() < 0.01 * found.first.max()


def test_profile_of_cone_beams_is_the_plane_integral_over_the_distance():
    """One narrow Gaussian: its mass over its distance to the line through the focal spots, spread over the angle."""
    views, center = (c_arm(0, 0), c_arm(70, 20)), np.array(CENTERS[0])
    found = profiles(*(part for view in views for part in (gaussians(view, [center]), view)))
    baseline = np.subtract(views[1].source_mm, views[0].source_mm)
    offset = center - views[0].source_mm
    distance = np.linalg.norm(np.cross(offset, baseline)) / np.linalg.norm(baseline)
    mass = (2 * np.pi) ** 1.5 * 12.0**3
    step = found.positions[1] - found.positions[0]
    assert found.first.sum() * step == pytest.approx(mass / distance**2, rel=2e-3)
    peak = mass / (np.sqrt(2 * np.pi) * 12.0) / distance
    assert found.first.max() == pytest.approx(peak, rel=1e-2)


def test_upright_views_agree_slice_by_slice():
    views = [View.gamma_camera((64, 64), (4.0, 4.0), angle) for angle in (0, 60)]
    images = [gaussians(view, CENTERS) for view in views]
    found = profiles(images[0], views[0], images[1], views[1])
    assert np.allclose(found.first, images[0].sum(axis=1)[62:0:-1])
    assert np.allclose(found.first, found.second, rtol=1e-6)


@settings(max_examples=20)
@given(st.floats(-50, 50), st.floats(-50, 50))
def test_tilted_parallel_views_agree_too(turn, tilt):
    """Views that share no axis: their pencil is found from both directions."""
    one = View.gamma_camera((64, 64), (4.0, 4.0), 0)
    stand = c_arm(90 + turn, tilt)
    two = View((64, 64), (4.0, 4.0), tuple(-300 * np.array(stand.looking)), stand.right, stand.down)
    found = profiles(gaussians(one, CENTERS, 20.0), one, gaussians(two, CENTERS, 20.0), two, pixels=2)
    assert np.abs(found.first - found.second).max() < 0.01 * found.first.max()


def test_variance_of_profiles_is_that_of_noise():
    """The squared weights predict the scatter of profiles of pure noise."""
    views, random = (c_arm(0, 0), c_arm(80, 10)), np.random.default_rng(1)
    drawn, predicted = [], []
    for _ in range(40):
        found = profiles(random.normal(size=views[0].shape), views[0], random.normal(size=views[1].shape), views[1])
        drawn.append(found.first)
        predicted.append(found.first_weight)
    middle = slice(40, 90)
    assert np.mean(np.var(drawn, axis=0)[middle] / np.mean(predicted, axis=0)[middle]) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    "views",
    [
        (View.gamma_camera((8, 8), (4.0, 4.0), 0), View.gamma_camera((8, 8), (4.0, 4.0), 180)),
        (c_arm(0, 0), c_arm(0, 0)),
        (c_arm(0, 0), c_arm(180, 0)),
    ],
)
def test_views_along_one_line_have_no_pencil(views):
    assert Pencil.of(*views) is None
    assert compare_views(np.ones(views[0].shape), views[0], np.ones(views[1].shape), views[1]) is None


def test_views_of_two_columns_do_not_tell_their_noise():
    views = [
        View.c_arm((16, 2), (2.5, 2.4), angle, 0, source_detector_mm=1000, source_isocenter_mm=700)
        for angle in (0.0, 90.0)
    ]
    image = np.random.default_rng(0).random((16, 2))
    assert compare_views(image, views[0], image, views[1]) is None


def test_views_of_other_places_cannot_be_compared():
    one = View.gamma_camera((32, 32), (4.0, 4.0), 0)
    assert profiles(np.ones((32, 32)), one, np.ones((32, 32)), one.moved((0.0, 0.0, 500.0))) is None
    other = View.gamma_camera((32, 32), (4.0, 4.0), 90, isocenter_mm=(0.0, 0.0, 500.0))
    assert compare_views(np.ones((32, 32)), one, np.ones((32, 32)), other) is None


def test_z_score_of_honest_counts_is_standard():
    """Over many draws the score has mean 0 and variance 1, and nothing is found significant."""
    views, random = [View.gamma_camera((64, 64), (4.0, 4.0), angle) for angle in (0, 90)], np.random.default_rng(0)
    expected = [gaussians(view, CENTERS, 25.0) for view in views]
    scale = 1e5 / expected[0].sum()
    found = [
        compare_views(
            *(
                part
                for image, view in zip(expected, views, strict=True)
                for part in (random.poisson(scale * image), view)
            ),
            attenuated=False,
        )
        for _ in range(60)
    ]
    scores = np.array([one.z_score for one in found])
    assert abs(scores.mean()) < 0.5
    assert 0.6 < scores.std() < 1.5
    assert not any(one.significant for one in found)


def test_disagreement_is_the_share_that_differs():
    """Two slabs of equal height, half of one beside the other: half of the counts differ."""
    views = [View.gamma_camera((64, 64), (4.0, 4.0), angle) for angle in (0, 90)]
    slab = np.zeros((64, 64))
    slab[20:40] = 1e6
    found = compare_views(slab, views[0], np.roll(slab, 10, axis=0), views[1], attenuated=False)
    assert found.disagreement == pytest.approx(0.5, abs=0.001)
    assert found.beyond_doubt


def test_brightness_alone_is_no_disagreement():
    views = [View.gamma_camera((64, 64), (4.0, 4.0), angle) for angle in (0, 90)]
    image = gaussians(views[0], CENTERS)
    assert compare_views(image, views[0], 3 * image, views[1], attenuated=False).disagreement == pytest.approx(0)
