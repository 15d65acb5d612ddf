"""What is asked of views: each fault has its own sentence, and honest views pass silently."""

import warnings

import numpy as np
import pytest

from photopeak.kernels import Geometry, Grid, View
from photopeak.kernels.errors import InputError, UsageError
from photopeak.kernels.reconstruction import checks
from photopeak.kernels.reconstruction.checks import (
    InconsistentViewsWarning,
    NearlyParallelWarning,
    TruncatedViewWarning,
    check_views,
    widest_angle,
)

GRID = Grid((64, 64, 64), (4.0, 4.0, 4.0))
ORTHOGONAL = Geometry.around(GRID, (0, 90))


def ball(center_mm=(0.0, 0.0, 0.0), radius_mm=60.0):
    """Return the chord through a ball for every pixel of every view; for cone beams too."""

    def image(view):
        pixels = view.pixels_mm()
        along = np.broadcast_to(view.looking, pixels.shape)
        if view.source_mm is not None:
            along = pixels - view.source_mm
            along = along / np.linalg.norm(along, axis=-1, keepdims=True)
        offset = pixels - center_mm
        across = offset - (offset * along).sum(axis=-1, keepdims=True) * along
        return 2 * np.sqrt(np.maximum(radius_mm**2 - (across**2).sum(axis=-1), 0))

    return image


def counts(geometry, *balls, total=2e5, seed=0):
    """Return Poisson views of balls."""
    random = np.random.default_rng(seed)
    expected = [sum(ball(*one)(view) for one in balls) for view in geometry.views]
    scale = total / sum(view.sum() for view in expected)
    return [random.poisson(scale * view) for view in expected]


BODY = (((0.0, 0.0, 0.0), 60.0), ((40.0, -30.0, 50.0), 35.0))


def stand(*directions):
    views = [
        View.c_arm((256, 256), (1.0, 1.0), primary, secondary, source_detector_mm=1100.0, source_isocenter_mm=750.0)
        for primary, secondary in directions
    ]
    return Geometry(GRID, tuple(views))


def line_integrals(geometry, *balls, noise=0.5, seed=0):
    random = np.random.default_rng(seed)
    return [sum(ball(*one)(view) for one in balls) + random.normal(0, noise, view.shape) for view in geometry.views]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("attenuated", [True, False])
def test_honest_counts_pass_unchanged(seed, attenuated):
    images = counts(ORTHOGONAL, *BODY, seed=seed)
    checked = check_views(images, ORTHOGONAL, attenuated=attenuated)
    assert all(image.dtype == np.float32 and image.flags.c_contiguous for image in checked)
    assert all(np.array_equal(one, other) for one, other in zip(images, checked, strict=True))


def test_fitting_images_are_not_copied():
    images = [image.astype(np.float32) for image in counts(ORTHOGONAL, *BODY)]
    assert all(one is other for one, other in zip(images, check_views(images, ORTHOGONAL), strict=True))


def test_honest_line_integrals_pass_with_their_negative_noise():
    geometry = stand((0, 0), (90, 0))
    images = line_integrals(geometry, *BODY)
    assert min(image.min() for image in images) < 0
    check_views(images, geometry)


@pytest.mark.parametrize("count", [1, 3])
def test_there_is_one_image_for_each_view(count):
    with pytest.raises(UsageError, match=f"{count} images for 2 view"):
        check_views([np.ones((64, 64))] * count, ORTHOGONAL)


def test_solver_says_how_many_views_it_needs():
    single = Geometry.around(GRID, (0,))
    with pytest.raises(UsageError, match="give 2 or more"):
        check_views(counts(single, *BODY), single)
    assert len(check_views(counts(single, *BODY), single, least=1)) == 1


def broken(change):
    images = [image.astype(np.float64) for image in counts(ORTHOGONAL, *BODY)]
    images[1] = change(images[1])
    return images


def with_pixel(value):
    def change(image):
        image[3, 5] = value
        return image

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda image: image[1:], "view 2 is an image of 63 x 64 pixels but its geometry has 64 x 64"),
        (lambda image: image[None], "view 2 is an image of 1 x 64 x 64"),
        (lambda image: image + 0j, "view 2 holds complex128"),
        (lambda image: image.astype(str), "view 2 holds <U"),
        (with_pixel(np.nan), r"view 2 has 1 pixel\(s\) that are no finite number"),
        (with_pixel(1e300), r"view 2 has 1 pixel\(s\) that are no finite number"),
        (with_pixel(-2.5), r"view 2 has 1 pixel\(s\) below zero, the lowest -2.5"),
        (np.zeros_like, "view 2 shows nothing: its largest value is 0"),
    ],
)
def test_bad_image_is_refused_by_name(change, words):
    with pytest.raises(InputError, match=words):
        check_views(broken(change), ORTHOGONAL)


def test_uniform_line_integrals_show_nothing():
    geometry = stand((0, 0), (90, 0))
    images = line_integrals(geometry, *BODY)
    with pytest.raises(InputError, match="view 1 shows nothing"):
        check_views([np.full((256, 256), 2.0), images[1]], geometry)


@pytest.mark.parametrize("angles", [(0, 0), (0, 0.5), (0, 180), (45, 225), (0, 180, 0)])
def test_views_along_one_line_are_refused(angles):
    geometry = Geometry.around(GRID, angles)
    with pytest.raises(UsageError, match="along the same line"):
        check_views(counts(geometry, *BODY), geometry)


def test_opposed_views_are_welcome_beside_a_third():
    geometry = Geometry.around(GRID, (0, 180, 90))
    assert len(check_views(counts(geometry, *BODY), geometry)) == 3
    assert widest_angle(geometry) == (pytest.approx(90), 1, 3)


@pytest.mark.parametrize("angle", [5.0, 20.0, 170.0])
def test_nearly_parallel_views_warn_with_the_error_in_depth(angle):
    geometry = Geometry.around(GRID, (0, angle))
    error = 4 / np.sin(np.radians(angle))
    with pytest.warns(NearlyParallelWarning, match=rf"{min(angle, 180 - angle):.1f} degrees .* {error:.2g} mm"):
        check_views(counts(geometry, *BODY), geometry)


def test_error_in_depth_counts_pixels_where_the_object_is():
    geometry = stand((0, 0), (10, 0))
    error = 1.0 * 750 / 1100 / np.sin(np.radians(10))
    with pytest.warns(NearlyParallelWarning, match=f"{error:.2g} mm"):
        check_views(line_integrals(geometry, *BODY), geometry)


def test_error_in_depth_is_what_triangulation_makes():
    """A shift by one pixel in one of two views moves the point by pixel / sine: the formula of the warning."""
    angle = np.radians(10)
    lines = np.array([[0.0, 1.0], [np.sin(angle), np.cos(angle)]])  # directions; each view measures across them
    across = lines[:, ::-1] * [1, -1]
    moved = np.linalg.solve(across, [0.0, 1.0])
    assert np.linalg.norm(moved) == pytest.approx(1 / np.sin(angle))


def test_focal_spot_in_the_volume_is_refused():
    view = View.c_arm((64, 64), (1.0, 1.0), 0, 0, source_detector_mm=1100.0, source_isocenter_mm=750.0)
    with pytest.raises(UsageError, match="focal spot"):
        widest_angle(Geometry(Grid((8, 8, 8), (1.0, 1.0, 1.0), (0.0, 750.0, 0.0)), (view, view)))


def test_view_cut_at_a_side_warns():
    outside = ((110.0, 0.0, 0.0), 60.0)
    with pytest.warns(TruncatedViewWarning, match="view 1 is cut off: at its right edge"):
        check_views(counts(ORTHOGONAL, outside), ORTHOGONAL)


def test_upright_views_may_be_cut_above_and_below():
    long = [((0.0, 0.0, z), 60.0) for z in range(-160, 200, 40)]
    check_views(counts(ORTHOGONAL, *long), ORTHOGONAL)


def test_cone_beams_may_not_be_cut_above():
    geometry = stand((0, 0), (90, 0))
    with (
        pytest.warns(TruncatedViewWarning, match="at its lower edge"),
    ):
        check_views(line_integrals(geometry, ((0.0, 0.0, -80.0), 50.0)), geometry)


def test_views_of_two_objects_are_refused():
    images = [counts(ORTHOGONAL, *BODY)[0], counts(ORTHOGONAL, ((0.0, 0.0, -90.0), 30.0))[1]]
    for attenuated in (True, False):
        with pytest.raises(InputError, match=r"views 1 and 2 do not show one object: \d+% .* \(z = \d+\)"):
            check_views(images, ORTHOGONAL, attenuated=attenuated)


def test_moved_table_warns_unless_attenuation_may_explain_it():
    anterior, lateral = counts(ORTHOGONAL, *BODY)
    moved = np.roll(lateral, 3, axis=0)
    with pytest.warns(InconsistentViewsWarning, match="calibrate"):
        check_views([anterior, moved], ORTHOGONAL, attenuated=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_views([anterior, moved], ORTHOGONAL)


def test_cone_beams_of_two_objects_warn():
    geometry = stand((0, 0), (90, 0))
    images = [
        line_integrals(geometry, *BODY)[0],
        line_integrals(geometry, ((0.0, 0.0, -50.0), 20.0))[1],
    ]
    with pytest.warns(InconsistentViewsWarning, match="of what common planes hold"):
        check_views(images, geometry)


def test_many_views_are_compared_in_number_as_they_are(monkeypatch):
    compared = []
    monkeypatch.setattr(checks, "compare_views", lambda *args, **options: compared.append(args[1::2]))
    geometry = Geometry.around(Grid((16, 16, 16), (4.0, 4.0, 4.0)), np.arange(0, 360, 6))
    image = np.pad(np.ones((8, 8)), 4)
    check_views([image] * 60, geometry)
    assert len(compared) == 60
    for view in geometry.views:
        assert sum(view in pair for pair in compared) == 2
    assert all(abs(np.dot(one.looking, two.looking)) < 0.1 for one, two in compared)


def test_one_view_has_no_angle():
    with pytest.raises(UsageError, match="two or more"):
        widest_angle(Geometry.around(GRID, (0,)))


def test_more_counts_than_a_camera_collects_are_refused():
    views = counts(ORTHOGONAL, *BODY)
    views[1][3, 4] = 2e9
    with pytest.raises(InputError, match=r"view 2 has a pixel of 2e\+09 counts"):
        check_views(views, ORTHOGONAL)
    stand_with_rays = stand((-30, 0), (60, 0))
    check_views([1e10 * image for image in line_integrals(stand_with_rays, *BODY)], stand_with_rays)
