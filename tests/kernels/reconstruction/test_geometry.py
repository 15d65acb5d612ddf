"""Geometry against closed forms and against rotation matrices that it does not use."""

from math import cos, radians, sin

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photopeak.kernels import Geometry, Grid, View
from photopeak.kernels.errors import UsageError

ANGLES = st.floats(-180, 180)
POINTS = st.tuples(*[st.floats(-150, 150)] * 3)


def about_z(angle):
    c, s = cos(radians(angle)), sin(radians(angle))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def about_x(angle):
    c, s = cos(radians(angle)), sin(radians(angle))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def c_arm(primary=0.0, secondary=0.0, **changes):
    options = {"source_detector_mm": 1100.0, "source_isocenter_mm": 750.0, **changes}
    return View.c_arm((400, 512), (0.4, 0.3), primary, secondary, **options)


def test_grid_lies_around_its_middle():
    grid = Grid((3, 4, 5), (1.0, 2.0, 3.0), (10.0, 20.0, 30.0))
    z, y, x = grid.axes()
    assert z.tolist() == [29, 30, 31]
    assert y.tolist() == [17, 19, 21, 23]
    assert x.tolist() == [4, 7, 10, 13, 16]
    assert grid.first_mm == (4, 17, 29)
    assert grid.voxel_ml == pytest.approx(6e-3)


@pytest.mark.parametrize(
    "arguments",
    [
        ((0, 4, 4), (1.0, 1.0, 1.0)),
        ((4, 4), (1.0, 1.0, 1.0)),
        ((4.5, 4, 4), (1.0, 1.0, 1.0)),
        ((np.nan, 4, 4), (1.0, 1.0, 1.0)),
        ((4, 4, 4), (1.0, 0.0, 1.0)),
        ((4, 4, 4), (1.0, np.nan, 1.0)),
        ((4, 4, 4), (1.0, np.inf, 1.0)),
        ((4, 4, 4), (1.0, 1.0)),
        ((4, 4, 4), (1.0, 1.0, 1.0), (0.0, np.nan, 0.0)),
        ((4, 4, 4), (1.0, 1.0, 1.0), (0.0, 0.0)),
    ],
)
def test_impossible_grid_is_refused(arguments):
    with pytest.raises(UsageError):
        Grid(*arguments)


@pytest.mark.parametrize(
    ("angle", "center", "right", "looking"),
    [
        (0, (0, -250, 0), (1, 0, 0), (0, 1, 0)),  # anterior: in front, the patient's left hand at the right edge
        (90, (250, 0, 0), (0, 1, 0), (-1, 0, 0)),  # on the left hand: the back at the right edge
        (180, (0, 250, 0), (-1, 0, 0), (0, -1, 0)),
        (270, (-250, 0, 0), (0, -1, 0), (1, 0, 0)),
    ],
)
def test_gamma_camera_stands_where_its_angle_says(angle, center, right, looking):
    view = View.gamma_camera((64, 64), (4.0, 4.0), angle)
    assert (view.center_mm, view.right, view.looking) == (center, right, looking)
    assert view.down == (0, 0, -1)


@given(ANGLES, ANGLES)
def test_c_arm_is_the_anterior_one_turned_and_tilted(primary, secondary):
    """The detector starts in front, is tilted to the head about x, then turned to the left about z."""
    turned = about_z(primary) @ about_x(-secondary)
    view = c_arm(primary, secondary)
    assert np.allclose(view.looking, turned @ [0, 1, 0])
    assert np.allclose(view.right, turned @ [1, 0, 0])
    assert np.allclose(view.down, turned @ [0, 0, -1])
    assert np.allclose(view.center_mm, turned @ [0, -350, 0])
    assert np.allclose(view.source_mm, turned @ [0, 750, 0])


def test_positive_angles_are_left_and_cranial():
    assert c_arm(30, 0).center_mm[0] > 0  # LAO: the detector on the left
    assert c_arm(0, 30).center_mm[2] > 0  # CRA: the detector towards the head


@given(ANGLES, ANGLES, st.tuples(*[st.floats(-200, 200)] * 3))
def test_isocenter_is_seen_in_the_middle(primary, secondary, isocenter):
    view = c_arm(primary, secondary, isocenter_mm=isocenter)
    assert np.allclose(view.project(np.array(isocenter)), [199.5, 255.5])
    assert view.magnification_at(isocenter) == pytest.approx(1100 / 750)


@given(st.floats(0, 360), POINTS)
def test_parallel_projection_forgets_depth_only(angle, point):
    view = View.gamma_camera((64, 80), (4.0, 5.0), angle)
    x, y, z = about_z(-angle) @ point
    assert np.allclose(view.project(np.array(point)), [31.5 - z / 4, 39.5 + x / 5])
    assert view.distance_to(point) == pytest.approx(250 + y)
    assert view.magnification_at(point) == 1


@given(ANGLES, st.floats(-60, 60), POINTS)
def test_cone_beam_projects_as_a_pinhole(primary, secondary, point):
    view = c_arm(primary, secondary)
    across, depth, up = (about_z(primary) @ about_x(-secondary)).T @ point  # in the arm's own axes
    factor = 1100 / (750 - depth)
    assert np.allclose(view.project(np.array(point)), [199.5 - up * factor / 0.4, 255.5 + across * factor / 0.3])
    assert view.magnification_at(point) == pytest.approx(factor)


@given(ANGLES, ANGLES, st.integers(0, 399), st.integers(0, 511), st.floats(0.05, 0.95))
def test_points_of_a_ray_are_seen_at_its_pixel(primary, secondary, row, column, share):
    view = c_arm(primary, secondary)
    pixel = view.pixels_mm()[row, column]
    point = pixel + share * (np.array(view.source_mm) - pixel)
    assert np.allclose(view.project(point), [row, column], atol=1e-6)


def test_project_takes_any_number_of_points():
    view = c_arm(20, 10)
    points = np.random.default_rng(0).uniform(-50, 50, (4, 5, 3))
    found = view.project(points)
    assert found.shape == (4, 5, 2)
    assert np.array_equal(found[2, 3], view.project(points[2, 3]))


def test_points_behind_the_focal_spot_are_not_seen():
    view = c_arm()
    assert np.isnan(view.project(np.array([[0.0, 750, 0], [0, 800, 0]]))).all()
    assert view.magnification_at((0, 750, 0)) == np.inf


def test_magnification_of_the_origin():
    assert c_arm().magnification == pytest.approx(1100 / 750)
    assert View.gamma_camera((4, 4), (1.0, 1.0), 30).magnification == 1


def test_right_angles_leave_exact_axes():
    view = c_arm(90, 0)
    assert view.right == (0, 1, 0)
    assert all(part in (-1, 0, 1) for part in (*view.down, *view.looking))


@given(st.tuples(*[st.floats(-50, 50)] * 3), POINTS)
def test_moving_a_view_is_moving_the_patient_the_other_way(offset, point):
    view = c_arm(25, -15)
    assert np.allclose(view.moved(offset).project(np.array(point)), view.project(np.subtract(point, offset)))


def test_moving_a_parallel_view_keeps_it_parallel():
    view = View.gamma_camera((8, 8), (4.0, 4.0), 0).moved((4.0, 0.0, 8.0))
    assert view.source_mm is None
    assert view.project(np.zeros(3)).tolist() == [5.5, 2.5]


VIEW = {
    "shape": (8, 8),
    "spacing_mm": (1.0, 1.0),
    "center_mm": (0.0, 0.0, 0.0),
    "right": (1.0, 0.0, 0.0),
    "down": (0.0, 0.0, -1.0),
}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shape": (0, 8)}, "empty"),
        ({"shape": (8,)}, "empty"),
        ({"shape": (8, 7.5)}, "whole numbers"),
        ({"spacing_mm": (1.0, -1.0)}, "no size"),
        ({"spacing_mm": (np.inf, 1.0)}, "no size"),
        ({"center_mm": (0.0, np.nan, 0.0)}, "three finite numbers"),
        ({"right": (1.0, 0.0)}, "three finite numbers"),
        ({"right": (2.0, 0.0, 0.0)}, "right angles"),
        ({"down": (0.7, 0.0, -0.7)}, "right angles"),
        ({"source_mm": (5.0, 0.0, 5.0)}, "in or behind the plane"),
        ({"source_mm": (0.0, -500.0, 0.0)}, "in or behind the plane"),
    ],
)
def test_impossible_view_is_refused(changes, words):
    with pytest.raises(UsageError, match=words):
        View(**{**VIEW, **changes})


@pytest.mark.parametrize("distances", [(750.0, 750.0), (750.0, 0.0), (750.0, 800.0), (np.inf, 750.0), (np.nan, 750.0)])
def test_impossible_c_arm_is_refused(distances):
    with pytest.raises(UsageError, match="no C-arm"):
        c_arm(source_detector_mm=distances[0], source_isocenter_mm=distances[1])


@pytest.mark.parametrize("make", [lambda: c_arm(np.nan, 0), lambda: View.gamma_camera((8, 8), (1.0, 1.0), np.nan)])
def test_angle_must_be_a_number(make):
    with pytest.raises(UsageError):
        make()


def test_views_around_a_volume_look_at_its_middle():
    grid = Grid((16, 24, 32), (2.0, 3.0, 4.0), (5.0, 6.0, 7.0))
    geometry = Geometry.around(grid, (0, 45, 90), radius_mm=200)
    for view in geometry.views:
        assert view.shape == (16, 32)
        assert view.spacing_mm == (2.0, 4.0)
        assert np.allclose(view.project(np.array(grid.center_mm)), [7.5, 15.5])
        assert view.distance_to(grid.center_mm) == pytest.approx(200)
    assert not geometry.cone_beam


def test_geometry_needs_views_of_one_kind():
    grid = Grid((4, 4, 4), (1.0, 1.0, 1.0))
    with pytest.raises(UsageError, match="without views"):
        Geometry(grid, ())
    with pytest.raises(UsageError, match="mixed"):
        Geometry(grid, (c_arm(), View.gamma_camera((4, 4), (1.0, 1.0), 0)))
    assert Geometry(grid, (c_arm(),)).cone_beam
